"""Telling people by mail: one message to one mail server for each person, by smtplib.

Rules:

  - The server's certificate and its name are verified, and without TLS nothing goes out unless lanman.toml says
    `tls = "none"`; a password never does, but to this machine itself.
  - What comes from a peer (a user's name, a path) gets into a header only as a whole address that `is_address` knows,
    and into the text escaped. The library refuses line ends in headers besides.
  - A message is handed over when the server has said yes to all of it, whatever comes after that. Where that answer is
    missing, nobody knows.
"""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Final

from lanman.client_settings import Credential, Mail, usual_port
from lanman.net.tell.blocking import in_thread, shut_down
from lanman.net.tell.people import Message, NotTold, Person, Told, address_of, body_for, no_answer, one_line
from lanman.shown import escape

NO_ADDRESS: Final = "no address known"


class MailWay:
    """[mail] of lanman.toml. Raises LanmanError for certificates that cannot be read."""

    name = "mail"

    def __init__(self, settings: Mail, credential: Credential | None = None) -> None:
        self._settings = settings
        self._credential = credential
        self._context = trusted(settings.ca_file) if settings.tls != "none" else None

    async def tell(self, person: Person, message: Message) -> None:
        """Send one message. Raises NotTold."""
        address = address_of(self._settings, person.user_name)
        if not address:
            raise NotTold(NO_ADDRESS)
        delivery = _Delivery(self._settings, self._credential, self._context)
        try:
            await in_thread(
                lambda: delivery.send(self._composed(address, person, message)),
                self._settings.deadline,
                delivery.abort,
            )
        except TimeoutError:
            if delivery.accepted:
                return
            told = Told.UNKNOWN if delivery.handed_over else Told.NO
            raise no_answer(self._settings.deadline, told) from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise _not_told(error, delivery) from None

    def _composed(self, address: str, person: Person, message: Message) -> EmailMessage:
        letter = EmailMessage()
        letter["From"] = self._settings.sender
        letter["To"] = address
        letter["Subject"] = escape(message.title)
        letter["Date"] = formatdate(localtime=True)
        letter["Message-ID"] = make_msgid(domain=self._settings.sender.rpartition("@")[2])
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers by programs
        letter.set_content(body_for(person, message), cte="quoted-printable")
        return letter


class _Delivery:
    """One message on its way, in a thread."""

    def __init__(self, settings: Mail, credential: Credential | None, context: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._credential = credential
        self._context = context
        self._smtp: smtplib.SMTP | None = None
        self.known_good = False  # the server was reached and took the log-on
        self.handed_over = False
        self.accepted = False  # the server has said yes to all of the letter

    def send(self, letter: EmailMessage) -> None:
        """Connect, log on if need be, and hand it over. Raises SMTPException, OSError, ValueError."""
        settings = self._settings
        host = settings.server.strip("[]")
        # The deadline is judged outside, and `abort` ends each wait. smtplib's own limit is for what cannot be
        # aborted, a connection that is being made; were it the same, either might come first, and say it differently.
        longest = 2 * settings.deadline
        if settings.tls == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(timeout=longest, context=self._context)
        else:
            smtp = smtplib.SMTP(timeout=longest)
        # Connecting later lets `abort` reach the socket; the name is what the certificate is compared with.
        self._smtp = smtp
        smtp._host = host  # type: ignore[attr-defined]
        try:
            code, greeting = smtp.connect(host, usual_port(settings))
            if code != 220:
                raise smtplib.SMTPConnectError(code, greeting)
            if settings.tls == "starttls":
                smtp.starttls(context=self._context)
            if self._credential is not None:
                smtp.login(self._credential.user, self._credential.password)
            self.known_good = True
            self._hand_over(smtp, letter)
            # It has the letter: what becomes of the farewell changes nothing of that.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                smtp.quit()
        finally:
            smtp.close()

    def _hand_over(self, smtp: smtplib.SMTP, letter: EmailMessage) -> None:
        """MAIL, RCPT and DATA (RFC 5321 3.3). Raises SMTPResponseException where the server says no."""
        smtp.ehlo_or_helo_if_needed()
        for answer in (smtp.mail(self._settings.sender), smtp.rcpt(str(letter["To"]))):
            if answer[0] not in (250, 251):
                raise smtplib.SMTPResponseException(*answer)
        self.handed_over = True
        answer = smtp.data(letter.as_bytes(policy=SMTP))
        self.handed_over = False
        self.accepted = answer[0] == 250
        if not self.accepted:
            raise smtplib.SMTPResponseException(*answer)

    def abort(self) -> None:
        """End whatever it waits for."""
        shut_down(None if self._smtp is None else self._smtp.sock)


def _not_told(error: Exception, delivery: _Delivery) -> NotTold:
    """What went wrong, without anything secret: a server's own words are quoted, and it knows no password of ours that
    it was not sent."""
    for_all = not delivery.known_good
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return NotTold(f"the mail server refused the log-on ({error.smtp_code})", for_all=True)
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error
        said = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
        return NotTold(f"the mail server refused ({error.smtp_code} {one_line(said)})", for_all=for_all)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return NotTold(f"the mail server cannot do it: {one_line(str(error))}", for_all=for_all)
    if isinstance(error, ssl.SSLCertVerificationError):
        return NotTold(f"the mail server's certificate is refused: {one_line(error.verify_message)}", for_all=True)
    told = Told.UNKNOWN if delivery.handed_over else Told.NO
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return NotTold(f"the mail server cannot be spoken to: {one_line(said)}", told=told, for_all=for_all)


def trusted(ca_file: str) -> ssl.SSLContext:
    """What a server's certificate and name are verified by: a file, or the system's. Raises LanmanError for a file that
    cannot be read."""
    from lanman import codes
    from lanman.errors import LanmanError

    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise LanmanError(
            f"{ca_file}: the certificates cannot be read: {one_line(getattr(error, 'strerror', None) or str(error))}",
            code=codes.ERROR_FILE_NOT_FOUND,
            hint="ca_file in lanman.toml is a file of certificates in PEM.",
        ) from None
