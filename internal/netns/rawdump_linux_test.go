package netns

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// exampleAnswer is a dump of one flow.
func exampleAnswer(flags uint16) []byte {
	key := newFlowKey("eni1", at("10.20.1.11:1000"), at("10.20.1.12:443"), 6)
	counter := appendAttribute(nil, unix.NFTA_COUNTER_BYTES, binary.BigEndian.AppendUint64(nil, 1234))
	counter = appendAttribute(counter, unix.NFTA_COUNTER_PACKETS, binary.BigEndian.AppendUint64(nil, 5))
	e := appendString(nil, unix.NFTA_EXPR_NAME, "counter")
	e = appendAttribute(e, unix.NFTA_EXPR_DATA|unix.NLA_F_NESTED, counter)
	item := appendAttribute(nil, unix.NFTA_SET_ELEM_KEY|unix.NLA_F_NESTED, appendAttribute(nil, unix.NFTA_DATA_VALUE, key[:]))
	item = appendAttribute(item, unix.NFTA_SET_ELEM_EXPIRATION, binary.BigEndian.AppendUint64(nil, 299_000))
	item = appendAttribute(item, unix.NFTA_SET_ELEM_EXPR|unix.NLA_F_NESTED, e)
	body := appendString([]byte{unix.NFPROTO_INET, 0, 0, 0}, unix.NFTA_SET_ELEM_LIST_TABLE, "vpc")
	body = appendAttribute(body, unix.NFTA_SET_ELEM_LIST_ELEMENTS|unix.NLA_F_NESTED, appendAttribute(nil, unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, item))
	return append(message(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWSETELEM, flags, body), message(unix.NLMSG_DONE, 0, []byte{0, 0, 0, 0})...)
}

func message(kind, flags uint16, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(16+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, 1)
	return append(append(b, 0, 0, 0, 0), body...)
}

func TestAnswers(t *testing.T) {
	var all []element
	done, err := answers(exampleAnswer(0), 1, func(_ uint16, body []byte) error {
		return elements(body, func(e element) { all = append(all, e) })
	})
	if !done || err != nil || len(all) != 1 {
		t.Fatalf("answers = %t, %v, %d elements", done, err, len(all))
	}
	e := all[0]
	if e.key.dev() != "eni1" || e.key.source() != addr("10.20.1.11") || e.key.dest() != addr("10.20.1.12") || e.key.protocol() != 6 ||
		e.packets != 5 || e.bytes != 1234 || e.expires.Milliseconds() != 299_000 {
		t.Errorf("element %+v", e)
	}
	if from, to := e.key.ports(); from != 1000 || to != 443 {
		t.Errorf("ports %d, %d", from, to)
	}
	nothing := func(uint16, []byte) error { return nil }
	errno := unix.ENOENT
	if _, err := answers(message(unix.NLMSG_ERROR, 0, binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno)))), 1, nothing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an error from the kernel = %v, want ErrNotExist", err)
	}
	for i := range exampleAnswer(0) {
		if _, err := answers(exampleAnswer(0)[:i], 1, func(_ uint16, b []byte) error { return elements(b, func(element) {}) }); err == nil && i%4 != 0 {
			t.Errorf("cut after %d bytes: no error", i)
		}
	}
}

// FuzzAnswers reads what a kernel would have to be broken to send.
func FuzzAnswers(f *testing.F) {
	f.Add(exampleAnswer(0))
	f.Add(exampleAnswer(unix.NLM_F_DUMP_INTR))
	f.Add(message(unix.NLMSG_ERROR, 0, []byte{0, 0, 0, 0}))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = answers(b, 1, func(_ uint16, body []byte) error {
			_ = attributes(body, func(_ uint16, b []byte) error { _, _, err := counts(b); return err })
			return elements(body, func(e element) {
				if e.expires < 0 || e.expires > flowTimeout || len(e.key.dev()) > unix.IFNAMSIZ {
					t.Errorf("element %+v", e)
				}
			})
		})
	})
}
