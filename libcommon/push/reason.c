#include "config.h"

#include <string.h>

#include "push/reason.h"

const struct push_reason_text push_reasons[REASON_COUNT] = {
    [REASON_NONE] = {"", 0, "", ""},
    [REASON_UNREACHABLE] =
	{"unreachable", 95117, "the machine does not answer",
	 "Is it up, is the name right, does a firewall let SSH through?"},
    [REASON_NETWORK] = {"network", 95523, "there is no way to its network",
			"Look at routes and VPNs: ip route get ADDRESS"},
    [REASON_NO_SSH] = {"no-ssh", 95522, "no SSH service takes logins there",
		       "Start sshd there, or give its port: HOST:PORT"},
    [REASON_HOST_KEY] =
	{"host-key", 95518, "its host key is not known, or is another one",
	 "Compare the key there with ssh-keyscan, then put it into the file of "
	 "known hosts; --accept-new takes keys of new machines unseen"},
    [REASON_LOGIN] = {"login", 95108,
		      "user, password or key are not accepted there",
		      "ps-config account edit NAME, or give --user and "
		      "--identity; does its sshd allow this login?"},
    [REASON_DISABLED] = {"disabled", 95519, "the account may not log in there",
			 "Look at it there: chage -l USER, passwd -S USER, its "
			 "shell, /etc/nologin"},
    [REASON_TOO_MANY] =
	{"too-many-tries", 95520, "it takes no more tries of this account",
	 "Wait, then look there at faillock, MaxAuthTries and who else tries"},
    [REASON_NO_COMMAND] = {"no-command", 95103,
			   "the login works, but no command runs",
			   "The account needs a shell there, and no "
			   "ForceCommand in sshd_config"},
    [REASON_RIGHTS] = {"rights", 95517, "the account is not root there",
		       "Log in as root, or let the account use sudo there"},
    [REASON_UNSUPPORTED] =
	{"unsupported", 0, "there is no package for such a system",
	 "Linux with the GNU C library; packages for more processors go into "
	 "the same folder"},
    [REASON_LIBC] = {"libc", 0,
		     "its C library is too old for the package's programs",
		     "Push a package that was made on a system as old as this "
		     "one (scripts/package tarball), or upgrade the system"},
    [REASON_TOOLS] = {"tools", 0, "programs are missing there",
		      "Install them with the system's package manager"},
    [REASON_SPACE] = {"space", 95524, "there is not enough room there",
		      "Make room, or install elsewhere: -d DIR"},
    [REASON_NOEXEC] = {"noexec", 0, "programs may not run there",
		       "Install elsewhere: -d DIR, or mount it without noexec"},
    [REASON_PACKAGE] = {"package", 0, "the package ps-toolkit-agent is there",
			"Upgrade that with apt, or remove it first"},
    [REASON_NEWER] = {"newer", 0, "a newer version is there",
		      "Push the newer package, or remove what is there"},
    [REASON_ELSEWHERE] = {"elsewhere", 0, "it is installed in another folder",
			  "Leave -d out, or remove what is there"},
    [REASON_CS_UNREACHABLE] =
	{"cs-unreachable", 0,
	 "the configuration server cannot be reached "
	 "from there",
	 "Open the way for TCP from there to the configuration server"},
    [REASON_BUSY] = {"busy", 0, "another push is under way",
		     "Wait until it has ended"},
    [REASON_COPY] = {"copy", 95106, "the package did not arrive",
		     "Push again: it goes on where it ended"},
    [REASON_DAMAGED] = {"damaged", 0, "the package arrived damaged",
			"Push again: it is sent anew"},
    [REASON_SIGNATURE] =
	{"signature", 0, "the package is not signed by who may sign",
	 "Get the package again, with its signature; compare the file of "
	 "signers with its publisher's"},
    [REASON_UNPACK] = {"unpack", 0, "the package cannot be unpacked",
		       "Look at room and memory there"},
    [REASON_INSTALL] = {"install", 0, "the installer failed",
			"See /var/log/ua_install.log there"},
    [REASON_PASSPHRASE] = {"passphrase", 0,
			   "the configuration server refuses the passphrase",
			   "Give the file of the present one: -P FILE"},
    [REASON_REGISTER] = {"register", 0, "installed, but not registered",
			 "See /var/log/ua_install.log there, then push again"},
    [REASON_TIMEOUT] = {"timeout", 0, "it took too long",
			"Push again: it goes on; --timeout allows more"},
    [REASON_CANCELLED] = {"cancelled", 0, "the push was ended",
			  "Push again: it goes on"},
    [REASON_LOCAL] = {"local", 0, "it failed on this side", ""},
    [REASON_GRUB_DEVICE] =
	{"grub-device", 95320, "GRUB names disks by device",
	 "Put UUIDs into root= and resume=: a restored machine may number its "
	 "disks in another way"},
    [REASON_BOOT_DISK] = {"boot-disk", 95309,
			  "/boot and / are on different disks", "Protect both"},
    [REASON_NO_BOOT_DISK] = {"no-boot-disk", 95310,
			     "/ is on no disk that could be protected",
			     "A container or a network boot: protect what its "
			     "data are on"},
    [REASON_ROOT_DISKS] = {"root-disks", 95313, "/ is on several disks",
			   "Protect all of them"},
    [REASON_CLOCK] = {"clock", 0, "its clock is more than 15 minutes off",
		      "Let it keep time: chrony, systemd-timesyncd"},
    [REASON_UNKNOWN_MACHINE] = {"unknown-machine", 0,
				"the configuration server does not know it yet",
				"ps-config machine add NAME"},
};

enum push_reason push_reason_of(const char *word)
{
	unsigned i = REASON_NONE + 1;

	while (i < REASON_COUNT && strcmp(push_reasons[i].word, word) != 0)
		i++;
	return i < REASON_COUNT ? (enum push_reason)i : REASON_NONE;
}
