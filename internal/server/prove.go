package server

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/iam"
	"example.com/cloister/internal/kms"
	"example.com/cloister/internal/rootseal"
	"example.com/cloister/internal/store"
)

// Proof is the result of looking for a model's plaintext in a data directory.
type Proof struct {
	// Windows of 32 bytes were drawn from the plaintext; Sources is where from.
	Windows int      `json:"windows"`
	Sources []string `json:"sources"`
	// Files and Bytes below the data directory were searched.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// Found lists the files that hold one of the windows: none, if sealing works.
	Found []string `json:"found"`
}

const (
	windowBytes = 32
	windowCount = 1000
	// distinctBytes a window must have, so that runs of zeros, which any file can hold, prove nothing.
	distinctBytes = 12
)

// Prove opens a custom model of a data directory, as whoever holds the directory's root.key can, draws
// windows from its files and from the given plaintext files, and searches every file below the directory
// for them. It works beside a running server and changes nothing.
func Prove(ctx context.Context, data string, c Config, model string, plaintext []string) (Proof, error) {
	db, err := store.OpenReader(ctx, filepath.Join(data, "cloister.db"))
	if err != nil {
		return Proof{}, err
	}
	defer func() { _ = db.Close() }() // only read from
	seal, err := rootseal.OpenFile(filepath.Join(data, "root.key"))
	if err != nil {
		return Proof{}, err
	}
	dir, err := blob.OpenDirectory(filepath.Join(data, "artifacts"))
	if err != nil {
		return Proof{}, err
	}
	defer func() { _ = dir.Close() }() // only read from
	account := cloister.AccountID(c.Account)
	now := time.Now //nolint:forbidigo // nothing here depends on it
	auth := iam.New(iam.Config{Account: account, Store: db.IAM(), Seal: seal, Now: now})
	reader := bedrock.NewReader(bedrock.ReaderConfig{
		Account: account, Store: db.Bedrock(now), Blobs: blob.OpenReader(dir), Owned: kms.NewOwned(seal, "bedrock"),
		Keys: kms.New(kms.Config{Account: account, Store: db.KMS(), Auth: auth, Seal: seal, Now: now}),
	})
	s := sampler{random: rand.New(rand.NewPCG(1, 2)), windows: map[uint64][][]byte{}} //nolint:gosec // a sample, no secret
	ctx = cloister.WithCall(ctx, cloister.Call{Principal: cloister.RootPrincipal(account), Region: cloister.Region(c.Region), Secure: true})
	sources := map[string]io.ReaderAt{}
	sizes := map[string]int64{}
	files, err := reader.Open(ctx, model)
	if err != nil {
		return Proof{}, err
	}
	defer func() { _ = files.Close() }() // only read from
	for _, f := range files.Files {
		sources["model: "+f.Path], sizes["model: "+f.Path] = f, f.Size()
	}
	for _, path := range plaintext {
		file, err := os.Open(path)
		if err != nil {
			return Proof{}, err
		}
		defer func() { _ = file.Close() }() // only read from
		info, err := file.Stat()
		if err != nil {
			return Proof{}, err
		}
		sources[path], sizes[path] = file, info.Size()
	}
	if err := s.draw(sources, sizes); err != nil {
		return Proof{}, err
	}
	proof := Proof{Windows: s.count, Sources: s.sources, Found: []string{}}
	err = s.search(ctx, data, &proof)
	return proof, err
}

// sampler holds windows by their first eight bytes.
type sampler struct {
	random  *rand.Rand
	windows map[uint64][][]byte
	hint    [1 << 16]bool // of the first two bytes: most positions are passed over by it
	count   int
	sources []string
}

// draw takes windows from every source, as many from each.
func (s *sampler) draw(sources map[string]io.ReaderAt, sizes map[string]int64) error {
	per := windowCount/len(sources) + 1
	for name, source := range sources {
		before := s.count
		for tries := 0; s.count-before < per && tries < 50*per && s.count < windowCount; tries++ {
			if sizes[name] < windowBytes {
				break
			}
			window := make([]byte, windowBytes)
			if _, err := source.ReadAt(window, s.random.Int64N(sizes[name]-windowBytes+1)); err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("read %s: %w", name, err)
			}
			seen := map[byte]bool{}
			for _, b := range window {
				seen[b] = true
			}
			if len(seen) < distinctBytes {
				continue
			}
			key := binary.LittleEndian.Uint64(window)
			s.windows[key] = append(s.windows[key], window)
			s.hint[binary.LittleEndian.Uint16(window)] = true
			s.count++
		}
		if s.count > before {
			s.sources = append(s.sources, fmt.Sprintf("%s (%d)", name, s.count-before))
		}
	}
	if s.count == 0 {
		return errors.New("nothing to look for: no source has a window with enough different bytes")
	}
	return nil
}

// search looks into every file below dir.
func (s *sampler) search(ctx context.Context, dir string, proof *Proof) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // the server goes on meanwhile
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		file, err := os.Open(path) //nolint:gosec // only looked into, and the directory is the operator's own
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // only read from
		proof.Files++
		found, n, err := s.scan(file)
		proof.Bytes += n
		if found {
			proof.Found = append(proof.Found, path)
		}
		return err
	})
}

// scan reports whether a stream holds one of the windows.
func (s *sampler) scan(r io.Reader) (found bool, total int64, err error) {
	in := bufio.NewReaderSize(r, 1<<20)
	buf := make([]byte, 0, 1<<20+windowBytes)
	for {
		keep := min(len(buf), windowBytes-1)
		copy(buf, buf[len(buf)-keep:])
		n, err := io.ReadFull(in, buf[keep:keep+1<<20])
		total += int64(n)
		buf = buf[:keep+n]
		for i := 0; i+windowBytes <= len(buf); i++ {
			if !s.hint[binary.LittleEndian.Uint16(buf[i:])] {
				continue
			}
			for _, w := range s.windows[binary.LittleEndian.Uint64(buf[i:])] {
				found = found || string(w) == string(buf[i:i+windowBytes])
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return found, total, nil
		}
		if err != nil {
			return found, total, err
		}
	}
}
