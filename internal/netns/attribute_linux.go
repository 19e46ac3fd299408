package netns

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// typeMask takes the flags off an attribute's kind (linux/netlink.h).
const typeMask = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)

// appendAttribute appends a netlink attribute, padded to 4 bytes.
func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(value))) //nolint:gosec // names and keys are short
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func appendString(b []byte, kind uint16, s string) []byte {
	return appendAttribute(b, kind, append([]byte(s), 0))
}

// attributes calls each with the kind and value of every netlink attribute in b.
func attributes(b []byte, each func(kind uint16, value []byte) error) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return errMalformed
		}
		length := int(binary.NativeEndian.Uint16(b))
		if length < 4 || length > len(b) {
			return errMalformed
		}
		if err := each(binary.NativeEndian.Uint16(b[2:])&typeMask, b[4:length]); err != nil {
			return err
		}
		b = b[min((length+3)&^3, len(b)):]
	}
	return nil
}

// elements calls each with every element in an answer to GETSETELEM. Elements of sets that are no flow sets are errors.
func elements(body []byte, each func(element)) error {
	return attributes(body, func(kind uint16, b []byte) error {
		if kind != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			return nil
		}
		return attributes(b, func(_ uint16, b []byte) error {
			e, err := parseElement(b)
			if err == nil {
				each(e)
			}
			return err
		})
	})
}

func parseElement(b []byte) (e element, err error) {
	keyed := false
	err = attributes(b, func(kind uint16, b []byte) error {
		switch kind {
		case unix.NFTA_SET_ELEM_KEY:
			return attributes(b, func(kind uint16, b []byte) error {
				if kind == unix.NFTA_DATA_VALUE && len(b) == len(e.key) {
					e.key, keyed = flowKey(b), true
				}
				return nil
			})
		case unix.NFTA_SET_ELEM_EXPIRATION:
			if len(b) != 8 {
				return errMalformed
			}
			e.expires = flowTimeout
			if ms := binary.BigEndian.Uint64(b); ms < uint64(flowTimeout/time.Millisecond) {
				e.expires = time.Duration(ms) * time.Millisecond
			}
		case unix.NFTA_SET_ELEM_EXPR:
			return attributes(b, func(kind uint16, b []byte) (err error) {
				if kind == unix.NFTA_EXPR_DATA {
					e.packets, e.bytes, err = counts(b)
				}
				return err
			})
		}
		return nil
	})
	if err == nil && !keyed {
		err = errMalformed
	}
	return e, err
}

// counts reads a counter.
func counts(b []byte) (packets, bytes uint64, err error) {
	err = attributes(b, func(kind uint16, b []byte) error {
		if kind != unix.NFTA_COUNTER_BYTES && kind != unix.NFTA_COUNTER_PACKETS {
			return nil
		}
		if len(b) != 8 {
			return errMalformed
		}
		if kind == unix.NFTA_COUNTER_BYTES {
			bytes = binary.BigEndian.Uint64(b)
		} else {
			packets = binary.BigEndian.Uint64(b)
		}
		return nil
	})
	return packets, bytes, err
}
