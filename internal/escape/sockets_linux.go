package escape

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// socketProbes open sockets that a network namespace or its filter does not confine. They are opened and closed, no more.
func socketProbes() []Probe {
	open := func(name string, family, kind, protocol int) Probe {
		return Probe{Name: name, try: func(*call) error { return opens(family, kind, protocol) }}
	}
	return []Probe{
		open("socket-packet", unix.AF_PACKET, unix.SOCK_RAW, 0),
		open("socket-raw", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP),
		open("socket-raw6", unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6),
		// On a virtual machine this leads to the hypervisor, past every namespace.
		open("socket-vsock", unix.AF_VSOCK, unix.SOCK_STREAM, 0),
		open("socket-xdp", unix.AF_XDP, unix.SOCK_RAW, 0),
		open("socket-netfilter", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER),
		open("socket-diag", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG),
		open("socket-uevent", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT),
		{Name: "socket-sctp", try: func(*call) error {
			return anyOf(map[string]error{
				"SCTP": opens(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP),
				"DCCP": opens(unix.AF_INET, unix.SOCK_DCCP, unix.IPPROTO_DCCP),
			})
		}},
		{Name: "socket-families", try: (*call).families},
		{Name: "socketpair-families", try: func(*call) error {
			fds, err := unix.Socketpair(unix.AF_TIPC, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
			if err == nil {
				return errors.Join(unix.Close(fds[0]), unix.Close(fds[1]))
			}
			// A kernel without TIPC answers EAFNOSUPPORT too. Others know no pairs: a kernel that gets there says EOPNOTSUPP.
			_, err = unix.Socketpair(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
			if errors.Is(err, unix.EOPNOTSUPP) {
				_, err = unix.Socketpair(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
			}
			if errors.Is(err, unix.EOPNOTSUPP) {
				return nil
			}
			return err
		}},
	}
}

func opens(family, kind, protocol int) error {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// families tries every family but those that a job needs: AF_ALG, AF_TIPC, AF_RDS, AF_KCM, AF_BLUETOOTH, AF_CAN and all.
func (c *call) families() error {
	var opened []string
	for family := range unix.AF_MAX {
		switch family {
		case unix.AF_UNSPEC, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK:
			continue
		}
		for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_RAW, unix.SOCK_SEQPACKET} {
			if opens(family, kind, 0) == nil {
				opened = append(opened, fmt.Sprint(family))
				break
			}
		}
	}
	if len(opened) == 0 {
		return errors.New("no other family opens")
	}
	c.detail = "families " + strings.Join(opened, " ")
	return nil
}

// anyOf is nil if one of the tries succeeded, and all their errors otherwise.
func anyOf(tries map[string]error) error {
	var all error
	for name, err := range tries {
		if err == nil {
			return nil
		}
		all = errors.Join(all, fmt.Errorf("%s: %w", name, err))
	}
	return all
}
