"""Who may connect, who waits and who has to go. Time is an argument."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from itertools import count

import pytest

from lanman import codes
from lanman.domain import LogonRefused, Reason
from lanman.errors import StatusError
from lanman.server.admission import LEAST, MANY, MUTE, POLL, SILENT, SLOW, Admission, Place, Standing
from lanman.server.resources import ResourceLimits
from lanman.settings import Configuration, Limits, RunningSettings
from lanman.smb2.messages import LogoffRequest
from support.memory_server import Client, World
from support.step_counter import growth, steps

HALF_OPEN, WAITING, ANONYMOUS, NAMED, GONE = (
    Standing.HALF_OPEN,
    Standing.WAITING,
    Standing.ANONYMOUS,
    Standing.NAMED,
    Standing.GONE,
)


class _Newcomer:
    def __init__(self, told: list[str], network: str) -> None:
        self._told, self._network = told, network
        self.unheard = False

    def mark_ready(self) -> None:
        self._told.append(f"{self._network} admitted")

    def displace(self, why: str) -> None:
        self._told.append(f"{self._network} displaced: {why}")


class Door:
    """An Admission, and what it told whom."""

    def __init__(self, **limits: int) -> None:
        self.settings = RunningSettings(Configuration(limits=Limits(**limits)))
        self.admission = Admission(self.settings)
        self.now = 0.0
        self.told: list[str] = []
        self._names = count(1)

    def come(self, network: str = "a", *, scarce: bool = False) -> Place | None:
        return self.admission.arrive(
            network,
            self.now,
            _Newcomer(self.told, network),
            scarce=scarce,
        )

    def place(self, network: str = "a") -> Place:
        place = self.come(network)
        assert place is not None
        return place

    def wait(self, seconds: float) -> None:
        """Let time pass, as dispatch does while somebody waits."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + POLL, end)
            self.admission.pump(self.now)

    def log_on(self, place: Place, standing: Standing = NAMED) -> None:
        self.admission.holds(place, standing, self.now)

    def end(self, place: Place) -> None:
        self.admission.gone(place, self.now)


def standings(places: list[Place]) -> list[Standing]:
    return [place.standing for place in places]


def test_within_the_limits_everybody_has_a_place() -> None:
    door = Door(unauthenticated=4, unauthenticated_per_address=2)
    assert standings([door.place(each) for each in "aabb"]) == [HALF_OPEN] * 4


def test_whoever_comes_too_many_takes_the_place_of_a_silent_one() -> None:
    door = Door(unauthenticated_per_address=3)
    mute, polite, busy = (door.place() for _ in range(3))
    door.admission.progress(polite, 0)
    door.admission.progress(busy, 0)
    door.now = MUTE
    assert door.place().standing is HALF_OPEN
    assert mute.standing is GONE
    assert door.told == ["a displaced: [limits] unauthenticated_per_address = 3 is reached"]
    door.now = SILENT
    door.admission.progress(busy, door.now)
    newest = [door.place(), door.place()]
    assert standings([polite, busy, *newest]) == [GONE, HALF_OPEN, HALF_OPEN, HALF_OPEN]


def test_those_that_are_busy_keep_their_places_and_others_wait() -> None:
    door = Door(unauthenticated_per_address=1)
    first = door.place()
    door.admission.progress(first, 0)
    second, third = door.place(), door.place()
    assert standings([first, second, third]) == [HALF_OPEN, WAITING, WAITING]
    assert door.place("b").standing is HALF_OPEN
    door.log_on(first)
    assert standings([second, third]) == [HALF_OPEN, WAITING]
    door.end(second)
    assert third.standing is HALF_OPEN
    assert door.told == ["a admitted", "a admitted"]


def test_nobody_who_waits_does_so_for_longer_than_somebody_can_be_silent() -> None:
    door = Door(unauthenticated=2, unauthenticated_per_address=2)
    places = [door.place("a"), door.place("a")]
    waiting = [door.place("a"), door.place("b")]
    assert standings(waiting) == [WAITING, WAITING]
    door.wait(MUTE)
    assert standings(waiting) == [HALF_OPEN, HALF_OPEN]
    assert standings(places) == [GONE, GONE]


def test_whoever_pretends_to_be_busy_has_its_place_for_a_while_only() -> None:
    door = Door(unauthenticated=1)
    busy, waiting = door.place("a"), door.place("b")
    while door.now < SLOW - 2 * POLL:
        door.wait(POLL)
        door.admission.progress(busy, door.now)
    assert standings([busy, waiting]) == [HALF_OPEN, WAITING]
    door.wait(3 * POLL)
    assert standings([busy, waiting]) == [GONE, HALF_OPEN]


def test_one_user_leaves_a_fifth_of_all_connections_to_others() -> None:
    world = World(limits=Limits(connections=10))
    refused: list[LogonRefused] = []
    world.service.subscribe(lambda event: refused.append(event), LogonRefused)  # type: ignore[arg-type]
    clients = [world.connect().log_on("ann") for _ in range(8)]
    one_more = world.connect()
    with pytest.raises(StatusError) as raised:
        one_more.log_on("ann")
    assert raised.value.status == codes.STATUS_REQUEST_NOT_ACCEPTED
    assert [(event.user_name, event.reason) for event in refused] == [("ann", Reason.LIMIT)]
    assert "four fifths of [limits] connections" in refused[0].detail
    assert one_more.connection.refusal_of_user("ANN")  # so that it is bound to none of that user's sessions either
    one_more.log_on("bob")
    clients[0].log_on("ann")  # one more session there takes no more room
    world.disconnect(clients.pop())
    clients.append(world.connect().log_on("ann"))
    assert world.dispatch.connections_of == {"user ANN": 8, "user BOB": 1}
    clients[1].ask(LogoffRequest())
    assert world.dispatch.connections_of == {"user ANN": 7, "user BOB": 1}
    for client in [*clients, one_more]:
        world.disconnect(client)
    assert world.dispatch.connections_of == {}


@pytest.mark.parametrize("limits", [{"unauthenticated": 1}, {"unauthenticated_per_address": 1}])
def test_whose_request_waits_for_its_turn_is_not_silent(limits: dict[str, int]) -> None:
    door = Door(**limits)
    first = door.place()
    assert isinstance(first.newcomer, _Newcomer)
    first.newcomer.unheard = True
    second = door.place()
    door.wait(MUTE * 2)
    assert standings([first, second]) == [HALF_OPEN, WAITING]
    first.newcomer.unheard = False
    door.wait(POLL)
    assert standings([first, second]) == [GONE, HALF_OPEN]


def test_whose_requests_wait_for_their_turns_has_its_place_for_a_while_only() -> None:
    door = Door(unauthenticated=1)
    first = door.place()
    assert isinstance(first.newcomer, _Newcomer)
    first.newcomer.unheard = True
    second = door.place()
    door.wait(SLOW + POLL)
    assert standings([first, second]) == [GONE, HALF_OPEN]


def test_a_newcomer_that_the_server_has_not_come_to_stays_however_long_others_keep_it() -> None:
    """It has negotiated and been displaced before its turn came, where the Server had much to do for others."""
    world = World(limits=Limits(unauthenticated=1))
    connection = world.dispatch.connect("192.0.2.1", world.now)
    assert connection is not None
    world.dispatch.scheduler._budget = 0  # spent on others
    connection.receive_data(struct.pack(">I", 64) + bytes(64), world.now)
    assert connection.unheard
    other = world.dispatch.connect("192.0.2.2", world.now)
    assert other is not None
    world.dispatch.admission.pump(world.now + 2 * MUTE)
    assert connection.finished is None
    assert other.waits
    world.dispatch.scheduler.refill()
    world.dispatch.scheduler.run(world.now + 2 * MUTE)
    assert not connection.unheard
    assert "an SMB2 header" in (connection.finished or "")


def test_a_server_that_is_behind_with_its_work_takes_nobody_for_silent() -> None:
    door = Door(unauthenticated_per_address=1)
    first = door.place()
    door.admission.lags(1.0)
    door.now = MUTE + 1.9
    assert standings([first, door.place()]) == [HALF_OPEN, WAITING]
    door.now = MUTE + 2.0
    assert door.place().standing is WAITING
    assert first.standing is GONE


def test_a_network_with_many_gives_up_to_one_with_few_at_once() -> None:
    door = Door(unauthenticated=6 * MANY, unauthenticated_per_address=2 * MANY)
    for network in "abc":
        for _ in range(2 * MANY):
            door.admission.progress(door.place(network), door.now)
    assert [door.place("honest").standing for _ in range(MANY // 2)] == [HALF_OPEN] * (MANY // 2)
    assert len(door.told) == MANY // 2
    assert all("unauthenticated = 48 is reached" in each for each in door.told)


def test_a_burst_of_honest_clients_gets_in_whole() -> None:
    door = Door()
    places = [door.place() for _ in range(500)]
    turns = 0
    while any(place.standing is not NAMED for place in places):
        turns += 1
        assert turns < 50
        for place in [place for place in places if place.standing is HALF_OPEN]:
            door.admission.progress(place, door.now)
            door.log_on(place)
    assert not any("displaced" in each for each in door.told)


def test_an_address_whose_sessions_were_ended_is_not_shut_out() -> None:
    door = Door(unauthenticated_per_address=64)
    places = [door.place() for _ in range(64)]
    for place in places:
        door.log_on(place)
    places += [door.place() for _ in range(64)]
    for place in places[64:]:
        door.log_on(place)
    for place in places:
        door.admission.holds(place, HALF_OPEN, door.now)
    assert door.place().standing is HALF_OPEN  # at once
    assert standings(places).count(GONE) == 1


def test_anonymous_connections_have_limits_of_their_own_and_are_never_sent_away() -> None:
    door = Door(anonymous=3, anonymous_per_address=2, unauthenticated_per_address=1)
    places = []
    for network in "aab":
        places.append(door.place(network))
        assert door.admission.refusal_of_anonymous(places[-1]) == ""
        door.log_on(places[-1], ANONYMOUS)
    assert door.admission.refusal_of_anonymous(door.place("b")) == "[limits] anonymous = 3 is reached"
    door.settings.current = Configuration(limits=Limits(anonymous_per_address=2))
    assert door.admission.refusal_of_anonymous(door.place("a")) == "[limits] anonymous_per_address = 2 is reached"
    # A second null session on a connection that has one is no further connection.
    assert door.admission.refusal_of_anonymous(places[0]) == ""
    door.now = 100
    for _ in range(50):
        door.place("a")
    assert standings(places) == [ANONYMOUS] * 3
    door.log_on(places[0])
    assert door.admission.refusal_of_anonymous(door.place("a")) == ""


def test_beyond_all_connections_only_those_without_a_session_give_way() -> None:
    door = Door(connections=3)
    user, guest, half = (door.place(each) for each in "abc")
    door.log_on(user)
    door.log_on(guest, ANONYMOUS)
    assert door.admission.has_room()
    newest = door.place("d")
    assert standings([user, guest, half, newest]) == [NAMED, ANONYMOUS, GONE, HALF_OPEN]
    assert door.told == ["c displaced: [limits] connections = 3 is reached"]
    door.log_on(newest)
    assert not door.admission.has_room()
    assert door.come("e") is None
    door.end(user)
    assert door.admission.has_room()
    assert door.come("e", scarce=True) is None  # no descriptor is left, and nobody can give one up
    assert door.place("e").standing is HALF_OPEN


def test_beyond_all_connections_the_network_with_most_without_a_session_gives_way() -> None:
    door = Door(connections=6)
    honest, flood = door.place("honest"), [door.place("flood") for _ in range(5)]
    for _ in range(20):
        flood.append(door.place("flood"))
    assert honest.standing is HALF_OPEN
    assert standings(flood).count(HALF_OPEN) == 5


def test_too_many_that_wait_push_out_the_newest_of_whoever_has_most() -> None:
    door = Door(unauthenticated=2, unauthenticated_per_address=1)
    for network in "ab":
        door.admission.progress(door.place(network), 0)
    flood = [door.place("a") for _ in range(4)]
    assert standings(flood) == [WAITING] * 4
    honest = door.place("b")
    assert standings([*flood, honest]) == [WAITING, WAITING, WAITING, GONE, WAITING]
    assert door.place("a").standing is GONE


def test_an_honest_client_behind_the_address_of_a_flood_comes_to_its_turn() -> None:
    door = Door()
    flood = [door.place() for _ in range(1500)]
    ended: list[float] = []
    for place in flood:
        if place.standing is HALF_OPEN:
            door.admission.progress(place, 0)
    honest: Place | None = None
    arrived = 0.0
    # Whoever is displaced comes again after a second, says something, and falls silent.
    while honest is None or honest.standing is WAITING:
        door.wait(POLL)
        for place in [place for place in flood if place.standing is GONE]:
            flood.remove(place)
            ended.append(door.now)
        while ended and ended[0] <= door.now - 1:
            ended.pop(0)
            flood.append(door.place())
        for place in flood:
            if place.standing is HALF_OPEN and place.mute:
                door.admission.progress(place, door.now)
        if honest is None and door.now > 10:
            honest, arrived = door.place(), door.now
        assert door.now < 30
    assert honest.standing is HALF_OPEN
    assert door.now - arrived < 12
    # It has been given its place for long enough to log on.
    door.admission.progress(honest, door.now)
    door.wait(LEAST[False] / 2)
    assert honest.standing is HALF_OPEN


def test_a_ghost_keeps_its_place_until_its_time_and_others_wait() -> None:
    door = Door(unauthenticated_per_address=1)
    door.admission.gone(door.place(), 0, ghost=True)
    newcomer = door.place()
    door.wait(SLOW)
    assert newcomer.standing is WAITING
    assert door.place("b").standing is HALF_OPEN
    door.admission.exorcise("a", door.now)
    assert newcomer.standing is HALF_OPEN


@pytest.mark.parametrize("seed", range(20))
def test_in_any_history_the_counts_are_right_and_all_is_given_back(seed: int) -> None:
    choose = random.Random(seed)
    limits = {"connections": 30, "unauthenticated": 12, "unauthenticated_per_address": 5, "anonymous_per_address": 3}
    door = Door(**limits)
    admission = door.admission
    places: list[Place] = []
    ghosts: list[str] = []
    for _ in range(1500):
        door.now += choose.choice([0, 0, 0.01, 0.3])
        live = [place for place in places if place.standing is not GONE]
        action = choose.randrange(8)
        if action <= 2 and (place := door.come(choose.choice("abcd"), scarce=choose.random() < 0.05)):
            places.append(place)
        elif action == 3 and live:
            admission.progress(choose.choice(live), door.now)
        elif action == 4 and live and (place := choose.choice(live)).standing is not WAITING:
            assert place is not None
            admission.holds(place, choose.choice([ANONYMOUS, NAMED, HALF_OPEN]), door.now)
        elif action == 5 and live:
            place = choose.choice(live)
            if ghost := place.standing is HALF_OPEN and choose.random() < 0.3:
                ghosts.append(place.network)
            admission.gone(place, door.now, ghost=ghost)
        elif action == 6 and ghosts:
            admission.exorcise(ghosts.pop(choose.randrange(len(ghosts))), door.now)
        else:
            admission.pump(door.now)
        now = standings(places)
        assert admission.total == len(places) - now.count(GONE) <= limits["connections"]
        assert admission.waiting == now.count(WAITING)
        assert len(admission._half_open) == now.count(HALF_OPEN) == len(admission._mute) + len(admission._spoken)
        assert admission._anonymous == now.count(ANONYMOUS)
        networks = admission._networks.values()
        for ranking, numbers in (
            (admission._most_half_open, {of: len(of.half_open) for of in networks if of.half_open}),
            (admission._most_waiting, {of: len(of.waiting) for of in networks if of.waiting}),
            (admission._contended, {of: of.taken for of in networks if of.waiting}),
        ):
            assert ranking._number == numbers
            if (most := ranking.most()) is not None and (fewest := ranking.fewest()) is not None:
                assert numbers[most] == max(numbers.values())
                assert numbers[fewest] == min(numbers.values())
    for place in places:
        admission.gone(place, door.now)
    for network in ghosts:
        admission.exorcise(network, door.now)
    assert admission.total == admission.waiting == admission._ghosts == admission._anonymous == 0
    assert not admission._networks
    assert not admission._contended.all()


def test_one_more_is_the_same_work_from_however_many_addresses_others_have_come() -> None:
    """Others have all places, and wait for more; or one address has all that an address may have."""

    def arrivals(addresses: int) -> int:
        door = Door(unauthenticated=500, unauthenticated_per_address=500, connections=20_000)
        for number in range(addresses):
            door.come(f"crowd {number}")

        def ten_more() -> None:
            for number in range(10):
                door.come(f"another {number}")
                door.now += 0.05
                door.admission.pump(door.now)

        return steps(ten_more)

    assert arrivals(1400) < arrivals(600) + 500  # one step more for each would be 8000

    def of_one_address(places: int) -> int:
        door = Door(unauthenticated=5000, unauthenticated_per_address=places, connections=20_000)
        for _ in range(places):
            door.come("crowd")
        door.now += 0.5
        return steps(lambda: [door.come("crowd") for _ in range(10)])

    assert of_one_address(2000) < of_one_address(20) + 500


# --- through the whole Server


@pytest.fixture
def small() -> World:
    return World(Configuration(limits=Limits(unauthenticated_per_address=2, anonymous_per_address=1)))


def arrive(world: World, address: str = "198.51.100.1") -> Client:
    """A client that has sent its NEGOTIATE, which may lie in the kernel."""
    client = world.arrive(address=address)
    client.core.negotiate()
    world.pump()
    return client


def test_who_waits_is_not_read_from_until_there_is_a_place(small: World) -> None:
    first, second = small.connect(address="198.51.100.1"), small.connect(address="198.51.100.1")
    third = arrive(small)
    assert third.connection.waits
    assert third.answers == {}
    first.log_on("ann")
    assert not third.connection.waits
    assert len(third.answers) == 1
    fourth = arrive(small)
    small.advance(SILENT + POLL)
    assert second.finished == ("it gives way to another one: [limits] unauthenticated_per_address = 2 is reached")
    assert len(fourth.answers) == 1
    assert small.users() == ["ann"]


def test_administrators_may_end_all_sessions_of_an_address_and_log_on_from_it_again(small: World) -> None:
    clients = [small.connect(address="198.51.100.1").log_on("ann") for _ in range(20)]
    for session in small.service.sessions():
        small.service.close_session(session, Reason.DELETED)
    small.pump()
    small.connect(address="198.51.100.1").log_on("admin")
    clients[5].log_on("ann")  # one that stayed connected
    assert sorted(small.users()) == ["admin", "ann"]


def test_the_next_null_session_of_an_address_is_refused_and_the_log_says_by_which_limit(small: World) -> None:
    small.connect(address="2001:db8:1:1::1").log_on()
    other = small.connect(address="2001:db8:1:1::2")
    with pytest.raises(StatusError) as caught:
        other.log_on()
    assert caught.value.status == codes.STATUS_REQUEST_NOT_ACCEPTED
    refused = [event for event in small.events if isinstance(event, LogonRefused)]
    assert [(event.reason, event.detail) for event in refused] == [
        (Reason.LIMIT, "[limits] anonymous_per_address = 1 is reached")
    ]
    small.connect(address="2001:db8:1:2::1").log_on()
    other.log_on("ann")


def test_nothing_of_a_connection_stays_when_it_is_gone(small: World) -> None:
    clients = [arrive(small) for _ in range(5)]
    clients[0].log_on("ann")
    for client in clients:
        small.disconnect(client)
    assert small.dispatch.admission.total == small.dispatch.admission.waiting == 0
    assert small.dispatch.admission._networks == {}


def test_one_connection_has_few_sessions_without_a_name(small: World) -> None:
    most = small.dispatch.resources.anonymous_sessions_per_connection
    client = small.connect()
    for _ in range(most):
        client.log_on()
    with pytest.raises(StatusError) as caught:
        client.log_on()
    assert caught.value.status == codes.STATUS_REQUEST_NOT_ACCEPTED
    refused = [event for event in small.events if isinstance(event, LogonRefused)]
    assert [(event.reason, event.detail) for event in refused] == [
        (Reason.LIMIT, f"there are {most} of them on this connection")
    ]
    client.log_on("ann")
    client.ask(LogoffRequest())
    assert small.users() == [""] * most


def test_the_end_of_a_connection_takes_as_much_work_as_it_has_sessions() -> None:
    def end(number: int) -> Callable[[], object]:
        world = World(resources=ResourceLimits(anonymous_sessions_per_connection=1000))
        client = world.connect()
        for _ in range(number):
            client.log_on()
        return lambda: world.disconnect(client)

    assert growth(end, 20, 200) < 1.2


def test_a_connection_is_named_as_long_as_somebody_with_an_account_has_a_session_on_it(small: World) -> None:
    client = small.connect().log_on()
    place = client.connection.place
    assert place is not None
    assert place.standing is ANONYMOUS
    client.log_on("ann")
    assert place.standing is NAMED
    client.log_on(again=True)  # anonymous from now on
    assert place.standing is ANONYMOUS
    client.log_on("ann", again=True)
    assert place.standing is NAMED
    client.ask(LogoffRequest())
    assert place.standing is ANONYMOUS
