package sigv4

import (
	"crypto/md5"  //nolint:gosec // Content-MD5 is a transport checksum of S3's protocol
	"crypto/sha1" //nolint:gosec // x-amz-checksum-sha1 is a transport checksum of S3's protocol
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strings"

	"example.com/cloister"
)

const checksumPrefix = "x-amz-checksum-"

// crc64nvme is the reversed polynomial of CRC-64/NVME; its check value is ae8b14860a799888.
const crc64nvme = 0x9A6C9329AC4BC9B5

// newHash returns the hash of one of S3's checksum algorithms, or nil.
func newHash(name string) hash.Hash {
	switch name {
	case "crc32":
		return crc32.NewIEEE()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "crc64nvme":
		return crc64.New(crc64.MakeTable(crc64nvme))
	case "sha1":
		return sha1.New() //nolint:gosec // see the import
	case "sha256":
		return sha256.New()
	default:
		return nil
	}
}

// digest is one value that the body must have.
type digest struct {
	name string // "crc32", …, "content-md5", "x-amz-content-sha256"
	hash hash.Hash
	want string // empty until a trailer brings it
	hex  bool
	sums bool // belongs into Checksums
}

func (d *digest) value() string {
	if d.hex {
		return hex.EncodeToString(d.hash.Sum(nil))
	}
	return base64.StdEncoding.EncodeToString(d.hash.Sum(nil))
}

func (d *digest) verify() error {
	if d.want == "" || d.want == d.value() {
		return nil
	}
	switch d.name {
	case "x-amz-content-sha256":
		return cloister.Errorf("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.").
			WithStatus(http.StatusBadRequest)
	case "content-md5":
		return cloister.Errorf("BadDigest", "The Content-MD5 you specified did not match what we received.").WithStatus(http.StatusBadRequest)
	default:
		return cloister.Errorf("BadDigest", "The %s you specified did not match the calculated checksum.", strings.ToUpper(d.name)).
			WithStatus(http.StatusBadRequest)
	}
}

// headerDigests are the digests that the headers announce.
func headerDigests(r *http.Request, payload string) ([]*digest, error) {
	var out []*digest
	if len(payload) == hex.EncodedLen(sha256.Size) {
		out = append(out, &digest{name: "x-amz-content-sha256", hash: sha256.New(), want: payload, hex: true})
	}
	if want := r.Header.Get("Content-Md5"); want != "" {
		if raw, err := base64.StdEncoding.DecodeString(want); err != nil || len(raw) != md5.Size {
			return nil, cloister.Errorf("InvalidDigest", "The Content-MD5 you specified was invalid.").WithStatus(http.StatusBadRequest)
		}
		out = append(out, &digest{name: "content-md5", hash: md5.New(), want: want}) //nolint:gosec // see the import
	}
	if completesUpload(r) {
		return out, nil
	}
	found := 0
	for header := range r.Header {
		name, ok := strings.CutPrefix(strings.ToLower(header), checksumPrefix)
		if !ok || name == "mode" || name == "algorithm" || name == "type" {
			continue
		}
		d, err := newChecksum(name)
		if err != nil {
			return nil, err
		}
		d.want = r.Header.Get(header)
		if err := d.checkWant(); err != nil {
			return nil, err
		}
		if found++; found > 1 {
			return nil, invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		out = append(out, d)
	}
	return out, nil
}

// completesUpload says that the request completes a multipart upload: its checksum headers are the
// object's, not the body's.
func completesUpload(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

func newChecksum(name string) (*digest, error) {
	h := newHash(name)
	if h == nil {
		return nil, invalidRequest("The checksum algorithm " + strings.ToUpper(name) + " is not supported: use CRC32, CRC32C, CRC64NVME, SHA1 or SHA256.")
	}
	return &digest{name: name, hash: h, sums: true}, nil
}

// checkWant refuses a value that no digest of the algorithm can have.
func (d *digest) checkWant() error {
	if raw, err := base64.StdEncoding.DecodeString(d.want); err != nil || len(raw) != d.hash.Size() {
		return invalidRequest("Value for x-amz-checksum-" + d.name + " is invalid: want base64 of the digest.")
	}
	return nil
}

func invalidRequest(text string) error {
	return (&cloister.Error{Code: "InvalidRequest", Message: text}).WithStatus(http.StatusBadRequest)
}
