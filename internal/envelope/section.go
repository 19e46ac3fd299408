package envelope

import "io"

// Section is a range of a Reader's plaintext, read from start to end; each segment is decrypted once.
// It is not safe for concurrent use.
type Section struct {
	reader  *Reader
	off     int64 // of the next byte to hand out
	end     int64
	workers int
	b       *buffers
	ahead   []byte // decrypted and not yet handed out; starts at off
}

var (
	_ io.Reader   = (*Section)(nil)
	_ io.WriterTo = (*Section)(nil)
)

// Section returns plaintext [off, off+n), clipped to what there is. WriteTo uses workers goroutines.
func (r *Reader) Section(off, n int64, workers int) *Section {
	off = min(max(off, 0), r.size)
	return &Section{reader: r, off: off, end: off + min(max(n, 0), r.size-off), workers: workers}
}

// Prefetch decrypts the first segment, so that damage there shows before the first byte is handed out.
func (s *Section) Prefetch() error {
	if len(s.ahead) > 0 || s.off >= s.end {
		return nil
	}
	if s.b == nil {
		s.b = newBuffers(s.reader.bufferSize())
	}
	index := s.off >> s.reader.segLog2
	plain, err := s.reader.segment(s.b, index)
	if err != nil {
		return err
	}
	base := index << s.reader.segLog2
	s.ahead = plain[s.off-base : min(s.end-base, int64(len(plain)))]
	return nil
}

// Read follows io.Reader.
func (s *Section) Read(p []byte) (int, error) {
	if s.off >= s.end {
		return 0, io.EOF
	}
	if err := s.Prefetch(); err != nil {
		return 0, err
	}
	n := copy(p, s.ahead)
	s.ahead = s.ahead[n:]
	s.off += int64(n)
	return n, nil
}

// WriteTo writes what is left of the range to w.
func (s *Section) WriteTo(w io.Writer) (int64, error) {
	var total int64
	if len(s.ahead) > 0 {
		n, err := w.Write(s.ahead)
		s.ahead = s.ahead[n:]
		s.off += int64(n)
		total = int64(n)
		if err != nil {
			return total, err
		}
	}
	n, err := s.reader.WriteRange(w, s.off, s.end-s.off, s.workers)
	s.off += n
	return total + n, err
}
