/* The first program of a machine that has nothing but Linux and its SMB client: mount, work, say what was acknowledged.
 *
 *     A N    record N is written and fsync has said so          E N WHAT   record N failed, and is tried again
 *     R N    the file of the records is opened once more, after 50 failures
 *     F N    file N is written, synced and closed                V N        all N records and files read back right
 *     X WHAT something that must not be
 *
 * It works until a byte comes on the console, reads everything back over a new mount, and switches the machine off.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RECORD 512

static void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
}

static void off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void load_modules(void)
{
	char name[256];
	FILE *list = fopen("/modules/order", "r");

	while (list != NULL && fscanf(list, "%255s", name) == 1) {
		int file = open(name, O_RDONLY);

		if (file < 0 || (syscall(SYS_finit_module, file, "", 0) != 0 && errno != EEXIST))
			say("X %s is not loaded: %s", name, strerror(errno));
		close(file);
	}
}

static void set_address(int request, const char *address)
{
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq interface = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&interface.ifr_addr;

	strcpy(interface.ifr_name, "eth0");
	if (address != NULL) {
		in->sin_family = AF_INET;
		inet_pton(AF_INET, address, &in->sin_addr);
	} else {
		interface.ifr_flags = IFF_UP | IFF_RUNNING;
	}
	if (ioctl(sock, request, &interface) != 0)
		say("X the network card: %s", strerror(errno));
	close(sock);
}

static int mounted(const char *options)
{
	for (int tries = 0; tries < 20; tries++) {
		if (mount("//10.0.2.2/share", "/mnt", "cifs", 0, options) == 0)
			return 1;
		sleep(1);
	}
	say("X mount: %s", strerror(errno));
	return 0;
}

static void fill(char *record, long number)
{
	memset(record, 'a' + number % 26, RECORD);
	snprintf(record, RECORD, "record %ld\n", number);
	record[RECORD - 1] = '\n';
}

static int write_file(long number)
{
	char name[64], record[RECORD];
	int file, good;

	snprintf(name, sizeof(name), "/mnt/file %ld", number);
	fill(record, number);
	file = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0644);
	if (file < 0)
		return 0;
	good = write(file, record, RECORD) == RECORD && fsync(file) == 0;
	return close(file) == 0 && good;
}

static int same(const char *name, long offset, long number)
{
	char record[RECORD], found[RECORD];
	int file = open(name, O_RDONLY), good;

	fill(record, number);
	good = file >= 0 && pread(file, found, RECORD, offset) == RECORD && memcmp(record, found, RECORD) == 0;
	if (file >= 0)
		close(file);
	return good;
}

static int told_to_stop(void)
{
	struct pollfd console = {0, POLLIN, 0};

	return poll(&console, 1, 0) == 1;
}

static void work(void)
{
	char record[RECORD], name[64];
	const char *options = getenv("options");
	long number = 0, failures = 0;
	int file;

	if (options == NULL || !mounted(options))
		return;
	file = open("/mnt/records", O_CREAT | O_RDWR, 0644);
	if (file < 0) {
		say("X records: %s", strerror(errno));
		return;
	}
	say("ready");
	while (!told_to_stop()) {
		fill(record, number);
		if (pwrite(file, record, RECORD, number * RECORD) != RECORD || fsync(file) != 0) {
			say("E %ld %s", number, strerror(errno));
			usleep(100000);
			if (++failures % 50 == 0) {  /* it is not given back to us */
				say("R %ld", number);
				close(file);
				while ((file = open("/mnt/records", O_RDWR)) < 0)
					usleep(100000);
			}
			continue;
		}
		failures = 0;
		say("A %ld", number);
		if (number % 8 == 0) {
			while (!write_file(number)) {
				say("E %ld %s", number, strerror(errno));
				usleep(100000);
			}
			say("F %ld", number);
		}
		number++;
		usleep(2000);
	}
	close(file);
	if (umount("/mnt") != 0 || !mounted(options)) {
		say("X it is not mounted again: %s", strerror(errno));
		return;
	}
	for (long each = 0; each < number; each++) {
		snprintf(name, sizeof(name), "/mnt/file %ld", each);
		if (!same("/mnt/records", each * RECORD, each) || (each % 8 == 0 && !same(name, 0, each))) {
			say("X record %ld is not what was written: %s", each, strerror(errno));
			return;
		}
	}
	say("V %ld", number);
	umount("/mnt");
}

int main(void)
{
	mkdir("/proc", 0755);
	mkdir("/mnt", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	say("");  /* what the BIOS has left of a line ends here */
	load_modules();
	set_address(SIOCSIFADDR, "10.0.2.15");
	set_address(SIOCSIFNETMASK, "255.255.255.0");
	set_address(SIOCSIFFLAGS, NULL);
	work();
	off();
}
