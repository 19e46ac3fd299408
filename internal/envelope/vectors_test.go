package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"example.com/cloister/internal/envelope"
)

var update = flag.Bool("update", false, "write new vectors: only for a new version of the format")

// vector is one frozen stream: testdata/NAME.sealed, with what is needed to open it.
type vector struct {
	Name        string `json:"name"`
	KeyHex      string `json:"key"`
	Context     string `json:"context"`
	SegmentLog2 uint8  `json:"segmentLog2"`
	PlainBytes  int    `json:"plainBytes"`  // the plaintext is byte i = i*7+3 mod 256
	PlainSHA256 string `json:"plainSHA256"` // of that plaintext
}

func (v vector) plain() []byte {
	p := make([]byte, v.PlainBytes)
	for i := range p {
		p[i] = byte(i*7 + 3)
	}
	return p
}

func vectors(tb testing.TB) []vector {
	tb.Helper()
	if *update {
		writeVectors(tb)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "vectors.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(text, &all); err != nil {
		tb.Fatal(err)
	}
	if len(all) < 4 {
		tb.Fatalf("%d vectors, want at least 4", len(all))
	}
	return all
}

func (v vector) sealed(tb testing.TB) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", v.Name+".sealed"))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func (v vector) key(tb testing.TB) envelope.DataKey {
	tb.Helper()
	raw, err := hex.DecodeString(v.KeyHex)
	if err != nil {
		tb.Fatal(err)
	}
	key, err := envelope.ParseDataKey(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func TestFrozenVectorsOpen(t *testing.T) {
	for _, v := range vectors(t) {
		got, err := open(v.sealed(t), []byte(v.Context), v.key(t))
		if err != nil || !bytes.Equal(got, v.plain()) {
			t.Errorf("%s: %v; plaintext equal: %v", v.Name, err, bytes.Equal(got, v.plain()))
		}
		if sum := sha256.Sum256(v.plain()); hex.EncodeToString(sum[:]) != v.PlainSHA256 {
			t.Errorf("%s: the plaintext's rule and its SHA-256 disagree", v.Name)
		}
	}
}

// TestFrozenVectorsFollowTheText derives every byte of the vectors again from the format's description,
// with none of the package's code, using the stored salts and nonces.
func TestFrozenVectorsFollowTheText(t *testing.T) {
	for _, v := range vectors(t) {
		stored, plain := v.sealed(t), v.plain()
		salt := stored[8:40]
		key := v.key(t)
		label := "cloister/envelope/v1" + string([]byte{1, v.SegmentLog2, 0, 0}) + v.Context
		derived, err := hkdf.Key(sha256.New, key[:], salt, label, 64)
		if err != nil {
			t.Fatal(err)
		}
		again := append([]byte("CLSE"), 1, v.SegmentLog2, 0, 0)
		again = append(append(again, salt...), derived[32:]...)
		block, err := aes.NewCipher(derived[:32])
		if err != nil {
			t.Fatal(err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		for index := 0; ; index++ {
			n := min(1<<v.SegmentLog2, len(plain))
			aad := []byte{0, 0, 0, 0, 0, 0, 0, byte(index), 0}
			if n == len(plain) {
				aad[8] = 1
			}
			nonce := stored[len(again) : len(again)+12]
			again = gcm.Seal(append(again, nonce...), nonce, plain[:n], aad)
			if plain = plain[n:]; len(plain) == 0 {
				break
			}
		}
		if !bytes.Equal(again, stored) {
			t.Errorf("%s: the stored bytes are not what the description gives", v.Name)
		}
	}
}

func writeVectors(tb testing.TB) {
	tb.Helper()
	all := []vector{
		{Name: "v1-empty", Context: "", SegmentLog2: 12},
		{Name: "v1-one-byte", Context: "arn:aws:bedrock:us-east-1:123456789012:custom-model/x/abcdefghijkl\x00model.safetensors", SegmentLog2: 18, PlainBytes: 1},
		{Name: "v1-exact", Context: "two full segments", SegmentLog2: 12, PlainBytes: 8192},
		{Name: "v1-three", Context: "\x00\xc3\xa9", SegmentLog2: 12, PlainBytes: 10000},
	}
	for i := range all {
		v := &all[i]
		key := sha256.Sum256([]byte(v.Name))
		v.KeyHex = hex.EncodeToString(key[:])
		sum := sha256.Sum256(v.plain())
		v.PlainSHA256 = hex.EncodeToString(sum[:])
		var out bytes.Buffer
		if _, err := envelope.Seal(&out, bytes.NewReader(v.plain()), key, []byte(v.Context), envelope.Options{SegmentLog2: v.SegmentLog2}); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("testdata", v.Name+".sealed"), out.Bytes(), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", "vectors.json"), append(text, '\n'), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func FuzzOpen(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.sealed(f), []byte(v.Context), v.KeyHex)
	}
	f.Add([]byte("CLSE"), []byte(nil), "")
	f.Fuzz(func(t *testing.T, sealed, context []byte, keyHex string) {
		key := envelope.DataKey(sha256.Sum256([]byte(keyHex)))
		if raw, err := hex.DecodeString(keyHex); err == nil && len(raw) == len(key) {
			key = envelope.DataKey(raw)
		}
		plain, err := open(sealed, context, key)
		if err != nil {
			return
		}
		// Nobody forges a stream: what opens was sealed, so its size agrees and any change is noticed.
		if want := envelope.SealedSize(int64(len(plain)), sealed[5]); want != int64(len(sealed)) {
			t.Errorf("%d bytes opened to %d, which seal to %d", len(sealed), len(plain), want)
		}
		sealed[len(sealed)-1] ^= 1
		if _, err := open(sealed, context, key); err == nil {
			t.Error("a flipped bit in the last tag was not noticed")
		}
	})
}
