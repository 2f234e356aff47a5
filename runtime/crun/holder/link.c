/* The build's way out: a pair of interfaces, one end in the host's network namespace, the other in the build's. The kernel
 * removes both with the build's namespace, so the name of the host's end is also the lock on the addresses. */
#include "holder.h"
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { LINKS = 4096 };               /* of each kind, as in runtime/crun/network/place.ts */
static const char inside[] = "eth0"; /* what the build calls its end */

/* rtnetlink(7): a header, what the header is about, attributes; those that nest are closed by end(). */
struct request { struct nlmsghdr header; char body[1024]; };

static struct request begin(int type, int flags, const void *about, size_t size)
{
	struct request request = { .header = {
		.nlmsg_len = NLMSG_LENGTH(size), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags } };
	memcpy(request.body, about, size);
	return request;
}

static struct rtattr *add(struct request *request, int type, const void *data, size_t size)
{
	struct rtattr *attribute = (void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
	attribute->rta_type = type;
	attribute->rta_len = RTA_LENGTH(size);
	if (size > 0)
		memcpy(RTA_DATA(attribute), data, size);
	request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + RTA_SPACE(size);
	return attribute;
}

static void end(struct request *request, struct rtattr *nest)
{
	nest->rta_len = (char *)request + request->header.nlmsg_len - (char *)nest;
}

/* Sends a request and returns 0, or -1 and errno, as the kernel answers. */
static int ask(int netlink, struct request *request)
{
	struct { struct nlmsghdr header; struct nlmsgerr error; char quoted[2048]; } answer;
	ssize_t n;
	if (send(netlink, request, request->header.nlmsg_len, 0) < 0)
		return -1;
	while ((n = recv(netlink, &answer, sizeof answer, 0)) < 0 && errno == EINTR)
		;
	if (n < (ssize_t)NLMSG_LENGTH(sizeof answer.error) || answer.header.nlmsg_type != NLMSG_ERROR) {
		errno = EPROTO;
		return -1;
	}
	errno = -answer.error.error;
	return answer.error.error ? -1 : 0;
}

static int make_pair(int netlink, const char *name, int net)
{
	struct ifinfomsg about = { .ifi_family = AF_UNSPEC };
	struct request request = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &about, sizeof about);
	add(&request, IFLA_IFNAME, name, strlen(name) + 1);
	struct rtattr *info = add(&request, IFLA_LINKINFO, NULL, 0);
	add(&request, IFLA_INFO_KIND, "veth", 4);
	struct rtattr *data = add(&request, IFLA_INFO_DATA, NULL, 0);
	struct rtattr *peer = add(&request, VETH_INFO_PEER, &about, sizeof about);
	add(&request, IFLA_IFNAME, inside, sizeof inside);
	add(&request, IFLA_NET_NS_FD, &net, sizeof net);
	end(&request, peer);
	end(&request, data);
	end(&request, info);
	return ask(netlink, &request);
}

/* Without an address that the kernel makes by itself: each one is given below. */
static void bring_up(int netlink, int interface)
{
	unsigned char mode = IN6_ADDR_GEN_MODE_NONE;
	struct ifinfomsg about = { .ifi_family = AF_UNSPEC, .ifi_index = interface };
	struct request quiet = begin(RTM_NEWLINK, 0, &about, sizeof about);
	struct rtattr *families = add(&quiet, IFLA_AF_SPEC, NULL, 0);
	struct rtattr *ipv6 = add(&quiet, AF_INET6, NULL, 0);
	add(&quiet, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
	end(&quiet, ipv6);
	end(&quiet, families);
	/* A kernel without IPv6 makes none. */
	if (ask(netlink, &quiet) && errno != EAFNOSUPPORT)
		die("addresses of the build's network");
	about.ifi_flags = about.ifi_change = IFF_UP;
	struct request up = begin(RTM_NEWLINK, 0, &about, sizeof about);
	if (ask(netlink, &up))
		die("cannot bring up the build's network");
}

/* The addresses of a pair differ in the last bit: even on the host, odd in the build. */
struct place { int family; unsigned char bytes[16]; };

static struct place place_of(int family, const char *base, unsigned number)
{
	struct place place = { .family = family };
	int size = family == AF_INET ? 4 : 16;
	if (inet_pton(family, base, place.bytes) != 1)
		fail("not an address: %s", base);
	unsigned last = (place.bytes[size - 2] << 8 | place.bytes[size - 1]) + number * 2;
	place.bytes[size - 2] = last >> 8;
	place.bytes[size - 1] = last;
	return place;
}

static struct place other_end(struct place place)
{
	place.bytes[place.family == AF_INET ? 3 : 15] |= 1;
	return place;
}

static void give_address(int netlink, int interface, struct place place)
{
	int size = place.family == AF_INET ? 4 : 16;
	struct ifaddrmsg about = { .ifa_family = place.family, .ifa_prefixlen = size * 8 - 1, .ifa_flags = IFA_F_NODAD,
				   .ifa_scope = RT_SCOPE_UNIVERSE, .ifa_index = interface };
	struct request request = begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &about, sizeof about);
	add(&request, IFA_LOCAL, place.bytes, size);
	add(&request, IFA_ADDRESS, place.bytes, size);
	if (ask(netlink, &request))
		die("address of the build's network");
}

static void route_all(int netlink, int interface, struct place gateway)
{
	struct rtmsg about = { .rtm_family = gateway.family, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC,
			       .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST };
	struct request request = begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &about, sizeof about);
	add(&request, RTA_GATEWAY, gateway.bytes, gateway.family == AF_INET ? 4 : 16);
	add(&request, RTA_OIF, &interface, sizeof interface);
	if (ask(netlink, &request))
		die("route of the build's network");
}

/* What the machine forwards already needs no leave. */
static void let_forward(const char *interface)
{
	char path[128], now = '0';
	snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/forwarding", interface);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, &now, 1) == 1 && now != '0') {
		close(fd);
		return;
	}
	close(fd);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		die("cannot set %s", path);
	close(fd);
}

static int netlink_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		die("netlink");
	return fd;
}

/* Leads connections to the gateway, in the build's own namespace, so that it goes with that. It opens nothing: what the
 * gateway takes is for the host's firewall to say. */
static void lead(int net, const char *gateway, const char *ports)
{
	char rules[4096];
	char *environment[] = { "PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin", NULL };
	int status, n = snprintf(rules, sizeof rules,
		"add table ip cofferdam; "
		"add chain ip cofferdam lead { type nat hook output priority -100; }; "
		"add rule ip cofferdam lead oifname %s meta l4proto tcp dnat to %s:tcp dport map { %s }", inside, gateway, ports);
	if (n >= (int)sizeof rules)
		fail("too many ports");
	pid_t child = fork();
	if (child == 0) {
		environ = environment;
		if (!setns(net, CLONE_NEWNET))
			execlp("nft", "nft", rules, NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		die("nft");
	if (status != 0)
		fail("nft could not lead the build's connections to the proxy (status %#x)", status);
}

/* Both ends have addresses when this returns; the number of the pair says which. Names are asked of the host's end. */
unsigned make_link(const struct plan *plan, struct spaces *spaces)
{
	char name[IF_NAMESIZE], gateway[INET_ADDRSTRLEN];
	unsigned number = 0, tries = 0;
	int host = netlink_socket();
	/* Beginning where process numbers are, so that a link is not used again soon: for minutes the host may remember
	 * connections of the build that had it last. */
	for (; tries < LINKS; tries++) {
		number = (getpid() + tries) % LINKS;
		snprintf(name, sizeof name, "%s%u", plan->link, number);
		if (!make_pair(host, name, spaces->net))
			break;
		if (errno != EEXIST)
			die("cannot make the build's network interface");
	}
	if (tries == LINKS)
		fail("all %d networks of builds are in use", LINKS);

	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int outer_index = if_nametoindex(name);
	if (own < 0 || setns(spaces->net, CLONE_NEWNET))
		die("namespace");
	int build = netlink_socket();
	int inner_index = if_nametoindex(inside);
	if (setns(own, CLONE_NEWNET))
		die("namespace");
	close(own);

	bring_up(host, outer_index);
	bring_up(build, inner_index);
	struct place gateways[2] = { place_of(AF_INET, plan->ipv4, number) };
	int count = 1;
	if (*plan->ipv6)
		gateways[count++] = place_of(AF_INET6, plan->ipv6, number);
	for (int i = 0; i < count; i++) {
		give_address(host, outer_index, gateways[i]);
		give_address(build, inner_index, other_end(gateways[i]));
		route_all(build, inner_index, gateways[i]);
	}
	let_forward(name);
	inet_ntop(AF_INET, gateways[0].bytes, gateway, sizeof gateway);
	if (plan->lead)
		lead(spaces->net, gateway, plan->lead);
	snprintf(spaces->resolver, sizeof spaces->resolver, "nameserver %s\n", gateway);
	close(build);
	close(host);
	return number;
}
