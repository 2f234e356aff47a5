/* What a build can reach, without a network and with one. */
#include "probe.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { CONNECT_MS = 2000 };

static void interfaces(void)
{
	struct if_nameindex *all = if_nameindex();
	for (struct if_nameindex *each = all; each && each->if_index; each++)
		found("%s", each->if_name);
}

/* Answers like connect(2), but gives up after a while. */
static long reach(int type, const char *address, int port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int six = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1, error = 0;
	socklen_t size = sizeof error;
	inet_pton(AF_INET, address, &v4.sin_addr);
	int fd = socket(six ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK, 0);
	if (fd < 0 || !(six ? connect(fd, (struct sockaddr *)&v6, sizeof v6) : connect(fd, (struct sockaddr *)&v4, sizeof v4)))
		return fd < 0 ? -1 : 0;
	if (errno != EINPROGRESS)
		return -1;
	struct pollfd polled = { fd, POLLOUT, 0 };
	errno = ETIMEDOUT;
	if (poll(&polled, 1, CONNECT_MS) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return -1;
	errno = error;
	return error ? -1 : 0;
}

static const char *const away[] = { "10.0.0.1", "10.0.2.2", "172.17.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254",
				    "192.0.2.1", "224.0.0.1", "255.255.255.255", "fd00:ec2::254", "2001:db8::1" };

static void nowhere(void)
{
	for (unsigned i = 0; i < sizeof away / sizeof *away; i++) {
		TRY(away[i], reach(SOCK_STREAM, away[i], 80));
		TRY(away[i], reach(SOCK_DGRAM, away[i], 53));
	}
}

/* Of each range that no build may reach, one: other machines, a virtual machine's host, containers, metadata of clouds. */
static void private_addresses(void)
{
	const char *private[] = { "10.0.0.1", "10.0.2.2", "172.17.0.1", "172.31.255.1", "192.168.0.1", "100.64.0.1", "100.100.100.200",
				  "169.254.169.254", "169.254.170.2", "168.63.129.16", "192.0.0.192", "198.18.0.1" };
	for (unsigned i = 0; i < sizeof private / sizeof *private; i++)
		TRY(private[i], reach(SOCK_STREAM, private[i], 80));
}

/* The other end of the default route, in network order; 0: there is none. */
static in_addr_t gateway(void)
{
	unsigned to, over;
	for (const char *line = contents("/proc/net/route"); (line = strchr(line, '\n')); line++)
		if (sscanf(line + 1, "%*s %x %x", &to, &over) == 2 && to == 0)
			return over;
	return 0;
}

/* A server that listens on all addresses of the host, one of which is the other end of the build's link. */
static void host_addresses(void)
{
	int port = atoi(fact("everywhere"));
	char addresses[4096];
	struct in_addr over = { gateway() };
	char *address, *rest = addresses;
	snprintf(addresses, sizeof addresses, "%s %s", fact("addresses"), over.s_addr ? inet_ntoa(over) : "");
	if (!port)
		return found("no port to look for");
	while ((address = strsep(&rest, " ")))
		if (*address)
			TRY(address, reach(SOCK_STREAM, address, port));
}

/* A server that listens on the host's loopback, by each of its names. */
static void host_tcp(void)
{
	int port = atoi(fact("port"));
	const char *own[] = { "127.0.0.1", "::1", "::ffff:127.0.0.1", "127.0.0.53", "0.0.0.0", "::" };
	if (!port)
		return found("no port to look for");
	for (unsigned i = 0; i < sizeof own / sizeof *own; i++)
		TRY(own[i], reach(SOCK_STREAM, own[i], port));
}

/* Other ports that the service has: Redis, the API. */
static void service_tcp(void)
{
	char ports[256];
	char *port, *rest = ports;
	snprintf(ports, sizeof ports, "%s", fact("ports"));
	while ((port = strsep(&rest, " ")))
		if (*port)
			TRY(port, reach(SOCK_STREAM, "127.0.0.1", atoi(port)));
	TRY("6379", reach(SOCK_STREAM, "127.0.0.1", 6379));
}

static long reach_unix(const char *name, int abstract)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strncpy(to.sun_path + abstract, name, sizeof to.sun_path - 2);
	return connect(fd, (struct sockaddr *)&to, offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name));
}

static void host_unix(void)
{
	char names[4096];
	char *name, *rest = names;
	snprintf(names, sizeof names, "%s", fact("abstract"));
	if (!*names)
		return found("no socket to look for");
	while ((name = strsep(&rest, " ")))
		if (*name)
			TRY(name, reach_unix(name, 1));
}

static void host_socket_files(void)
{
	char paths[4096] = "";
	char *path, *rest = paths;
	snprintf(paths, sizeof paths, "/var/run/docker.sock /run/docker.sock /run/containerd/containerd.sock /run/dbus/system_bus_socket %s",
		 fact("sockets"));
	while ((path = strsep(&rest, " ")))
		if (*path)
			TRY(path, reach_unix(path, 0));
}

static void abstract_sockets_of_others(void)
{
	const char *at = contents("/proc/net/unix");
	while ((at = strstr(at, " @"))) {
		found("%.*s", (int)strcspn(at + 1, "\n"), at + 1);
		at++;
	}
}

static void raw(void)
{
	TRY("icmp", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	TRY("tcp", socket(AF_INET, SOCK_RAW, IPPROTO_TCP));
	TRY("any", socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
	TRY("icmp6", socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
}

/* Bringing an interface into being takes a capability over the network namespace. */
static long add_interface(void)
{
	struct { struct nlmsghdr header; struct ifinfomsg about; char attributes[64]; } request = {
		.header = { .nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL },
	};
	struct { struct nlmsghdr header; struct nlmsgerr error; char rest[512]; } answer = { 0 };
	struct rtattr *info = (void *)request.attributes, *kind = (void *)(request.attributes + 4);
	kind->rta_type = IFLA_INFO_KIND, kind->rta_len = RTA_LENGTH(5);
	strcpy(RTA_DATA(kind), "veth");
	info->rta_type = IFLA_LINKINFO, info->rta_len = RTA_LENGTH(RTA_ALIGN(kind->rta_len));
	request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.about) + info->rta_len;
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	if (send(fd, &request, request.header.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof answer, 0) < 0)
		return -1;
	errno = -answer.error.error;
	return errno ? -1 : 0;
}

static void change_network(void) { TRY("interface", add_interface()); }

static void forwarding(void)
{
	TRY("ip_forward", open("/proc/sys/net/ipv4/ip_forward", O_WRONLY));
	TRY("ping_group_range", open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY));
}

static void shared_memory(void)
{
	const char *tables[] = { "/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg" };
	for (int i = 0; i < 3; i++) {
		const char *second = strchr(contents(tables[i]), '\n');
		if (second && second[1])
			found("%s", tables[i]);
	}
	DIR *queues = opendir("/dev/mqueue");
	for (struct dirent *entry; queues && (entry = readdir(queues)); )
		if (entry->d_name[0] != '.')
			found("/dev/mqueue/%s", entry->d_name);
}

const struct probe network_probes[] = {
	{ "20-interfaces", interfaces },
	{ "20-nowhere", nowhere },
	{ "21-private", private_addresses },
	{ "21-host", host_addresses },
	{ "22-host-tcp", host_tcp },
	{ "22-service-tcp", service_tcp },
	{ "22-host-unix", host_unix },
	{ "22-socket-files", host_socket_files },
	{ "22-unix-names", abstract_sockets_of_others },
	{ "24-raw", raw },
	{ "24-interface", change_network },
	{ "24-settings", forwarding },
	{ "26-ipc", shared_memory },
	{ 0 },
};
