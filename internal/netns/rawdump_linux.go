package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// errInterrupted says that the set changed its shape while it was dumped: something may be missing. Dump it again.
var errInterrupted = errors.New("dump was interrupted")

// errMalformed says that the kernel's answer cannot be read.
var errMalformed = errors.New("malformed netlink message")

// readerBuffer decides how much the kernel puts into one message of a dump. It walks a hash set from its start for each,
// so small buffers cost the square: 61,000 flows take 0.6 s with 64 KiB, 5 to 9 s with google/nftables' reader (measured
// on two cores, kernel 6.18).
const readerBuffer = 64 << 10

// readerTimeout ends a wait for an answer that does not come.
const readerTimeout = 5 * time.Second

// flowKey is an element's key in a flow set: device (16), source (4), destination (4), protocol (1, padded to 4), ports (4).
type flowKey [32]byte

func newFlowKey(dev string, from, to netip.AddrPort, protocol uint8) (k flowKey) {
	copy(k[:unix.IFNAMSIZ-1], dev)
	a, b := from.Addr().As4(), to.Addr().As4()
	copy(k[16:], a[:])
	copy(k[20:], b[:])
	k[24] = protocol
	binary.BigEndian.PutUint16(k[28:], from.Port())
	binary.BigEndian.PutUint16(k[30:], to.Port())
	return k
}

func (k *flowKey) dev() string {
	i := 0
	for i < unix.IFNAMSIZ && k[i] != 0 {
		i++
	}
	return string(k[:i])
}

func (k *flowKey) source() netip.Addr { return netip.AddrFrom4([4]byte(k[16:20])) }
func (k *flowKey) dest() netip.Addr   { return netip.AddrFrom4([4]byte(k[20:24])) }
func (k *flowKey) protocol() uint8    { return k[24] }
func (k *flowKey) ports() (uint16, uint16) {
	return binary.BigEndian.Uint16(k[28:]), binary.BigEndian.Uint16(k[30:])
}

// element is one flow as the kernel counts it.
type element struct {
	key            flowKey
	packets, bytes uint64
	expires        time.Duration // until it is forgotten, if no packet comes
}

// reader asks a namespace's packet filter. It is not safe for concurrent use.
type reader struct {
	fd  int
	buf []byte
	seq uint32
}

func openReader(ns *namespace) (*reader, error) {
	r := &reader{buf: make([]byte, readerBuffer)}
	err := ns.do(func() error {
		var err error
		r.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open packet filter: %w", err)
	}
	timeout := unix.NsecToTimeval(int64(readerTimeout))
	if err := errors.Join(
		unix.SetsockoptTimeval(r.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		unix.Bind(r.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
	); err != nil {
		r.close()
		return nil, fmt.Errorf("open packet filter: %w", err)
	}
	return r, nil
}

func (r *reader) close() { _ = unix.Close(r.fd) }

// dump calls each with every element of a flow set. It dumps again when it was interrupted, three times at most, and
// calls each only for a dump that was not.
func (r *reader) dump(table, set string) ([]element, error) {
	for try := 1; ; try++ {
		all, err := r.dumpOnce(table, set)
		if err == nil || !errors.Is(err, errInterrupted) {
			return all, err
		}
		if try == 3 {
			return nil, fmt.Errorf("read flow set %s, 3 tries: %w", set, err)
		}
	}
}

func (r *reader) dumpOnce(table, set string) ([]element, error) {
	b := appendString(nil, unix.NFTA_SET_ELEM_LIST_TABLE, table)
	b = appendString(b, unix.NFTA_SET_ELEM_LIST_SET, set)
	var all []element
	interrupted := false
	err := r.ask(unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, b, func(flags uint16, body []byte) error {
		interrupted = interrupted || flags&unix.NLM_F_DUMP_INTR != 0
		return elements(body, func(e element) { all = append(all, e) })
	})
	if err == nil && interrupted {
		err = errInterrupted
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

// element returns one element of a flow set, and whether it is there.
func (r *reader) element(table, set string, key flowKey) (element, bool, error) {
	value := appendAttribute(nil, unix.NFTA_DATA_VALUE, key[:])
	item := appendAttribute(nil, unix.NFTA_SET_ELEM_KEY|unix.NLA_F_NESTED, value)
	list := appendAttribute(nil, unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, item)
	b := appendString(nil, unix.NFTA_SET_ELEM_LIST_TABLE, table)
	b = appendString(b, unix.NFTA_SET_ELEM_LIST_SET, set)
	b = appendAttribute(b, unix.NFTA_SET_ELEM_LIST_ELEMENTS|unix.NLA_F_NESTED, list)
	var found element
	ok := false
	err := r.ask(unix.NFT_MSG_GETSETELEM, unix.NLM_F_ACK, b, func(_ uint16, body []byte) error {
		return elements(body, func(e element) { found, ok = e, e.key == key })
	})
	if errors.Is(err, os.ErrNotExist) {
		return element{}, false, nil
	}
	return found, ok, err
}

// generation is the number of transactions so far.
func (r *reader) generation() (id uint32, err error) {
	err = r.ask(unix.NFT_MSG_GETGEN, unix.NLM_F_ACK, nil, func(_ uint16, body []byte) error {
		return attributes(body, func(kind uint16, b []byte) error {
			if kind == unix.NFTA_GEN_ID && len(b) == 4 {
				id = binary.BigEndian.Uint32(b)
			}
			return nil
		})
	})
	return id, err
}

// counter returns the packets of a named counter.
func (r *reader) counter(table, name string) (packets uint64, err error) {
	b := appendString(nil, unix.NFTA_OBJ_TABLE, table)
	b = appendString(b, unix.NFTA_OBJ_NAME, name)
	b = appendAttribute(b, unix.NFTA_OBJ_TYPE, binary.BigEndian.AppendUint32(nil, unix.NFT_OBJECT_COUNTER))
	err = r.ask(unix.NFT_MSG_GETOBJ, unix.NLM_F_ACK, b, func(_ uint16, body []byte) error {
		return attributes(body, func(kind uint16, b []byte) error {
			if kind != unix.NFTA_OBJ_DATA {
				return nil
			}
			var err error
			packets, _, err = counts(b)
			return err
		})
	})
	return packets, err
}

// ask sends one question and calls each with the flags and the body of every answer, until the kernel says that it was
// the last.
func (r *reader) ask(message, flags uint16, attributes []byte, each func(flags uint16, body []byte) error) error {
	r.seq++
	b := make([]byte, 0, unix.NLMSG_HDRLEN+4+len(attributes))
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.NLMSG_HDRLEN+4+len(attributes))) //nolint:gosec // a few hundred bytes
	b = binary.NativeEndian.AppendUint16(b, unix.NFNL_SUBSYS_NFTABLES<<8|message)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = binary.NativeEndian.AppendUint32(b, r.seq)
	b = append(b, 0, 0, 0, 0, unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0)
	b = append(b, attributes...)
	if err := unix.Sendto(r.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("ask packet filter: %w", err)
	}
	for {
		k, _, err := unix.Recvfrom(r.fd, r.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read packet filter: %w", err)
		}
		done, err := answers(r.buf[:k], r.seq, each)
		if done || err != nil {
			return err
		}
	}
}

// answers reads the messages of one datagram; done says that the last one ended the answer.
func answers(b []byte, seq uint32, each func(flags uint16, body []byte) error) (done bool, err error) {
	for len(b) > 0 {
		if len(b) < unix.NLMSG_HDRLEN {
			return true, errMalformed
		}
		length := int(binary.NativeEndian.Uint32(b))
		if length < unix.NLMSG_HDRLEN || length > len(b) {
			return true, errMalformed
		}
		kind, flags := binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:])
		number := binary.NativeEndian.Uint32(b[8:])
		body := b[unix.NLMSG_HDRLEN:length]
		b = b[min((length+3)&^3, len(b)):]
		switch {
		case number != seq: // left over from an earlier question
		case kind == unix.NLMSG_DONE:
			return true, nil
		case kind == unix.NLMSG_ERROR:
			if len(body) < 4 {
				return true, errMalformed
			}
			if code := int32(binary.NativeEndian.Uint32(body)); code != 0 { //nolint:gosec // negative is how errors are sent
				return true, fmt.Errorf("packet filter: %w", unix.Errno(-code)) //nolint:gosec // positive now
			}
			return true, nil
		case len(body) < 4:
			return true, errMalformed
		default:
			if err := each(flags, body[4:]); err != nil {
				return true, err
			}
		}
	}
	return false, nil
}
