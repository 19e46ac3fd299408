package s3

import (
	"crypto/sha1" //nolint:gosec // S3's x-amz-checksum-sha1 is an integrity check by its protocol
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// The names under which checksums travel between the edge, this service and its store.
const (
	crc32Sum     = "crc32"
	crc32cSum    = "crc32c"
	crc64nvmeSum = "crc64nvme"
	sha1Sum      = "sha1"
	sha256Sum    = "sha256"
)

// crc64NVMEPolynomial is CRC-64/NVME, reflected. Source: NVM Express NVM Command Set Specification 1.0c.
const crc64NVMEPolynomial = 0x9A6C9329AC4BC9B5

// algorithms lists the served checksums, in a fixed order.
func algorithms() []string {
	return []string{crc32Sum, crc32cSum, crc64nvmeSum, sha1Sum, sha256Sum}
}

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case crc32Sum:
		return crc32.NewIEEE()
	case crc32cSum:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case crc64nvmeSum:
		return crc64.New(crc64.MakeTable(crc64NVMEPolynomial))
	case sha1Sum:
		return sha1.New() //nolint:gosec // see the import
	default:
		return sha256.New()
	}
}

// algorithmOf returns our name of an SDK algorithm, "" for none, or an error for one that is not served.
func algorithmOf(a types.ChecksumAlgorithm) (string, error) {
	if a == "" {
		return "", nil
	}
	for _, name := range algorithms() {
		if strings.EqualFold(name, string(a)) {
			return name, nil
		}
	}
	return "", errNotImplemented("the checksum algorithm " + strconv.Quote(string(a)))
}

func sdkAlgorithm(name string) types.ChecksumAlgorithm {
	return types.ChecksumAlgorithm(strings.ToUpper(name))
}

// sumFields are the members that inputs and outputs of the SDK have for the served checksums.
type sumFields struct{ CRC32, CRC32C, CRC64NVME, SHA1, SHA256 *string }

func (f sumFields) checksums() Checksums {
	c := Checksums{}
	for name, value := range map[string]*string{
		crc32Sum: f.CRC32, crc32cSum: f.CRC32C, crc64nvmeSum: f.CRC64NVME, sha1Sum: f.SHA1, sha256Sum: f.SHA256,
	} {
		if value != nil {
			c[name] = *value
		}
	}
	return c
}

func (c Checksums) fields() sumFields {
	get := func(name string) *string {
		if v, ok := c[name]; ok {
			return &v
		}
		return nil
	}
	return sumFields{get(crc32Sum), get(crc32cSum), get(crc64nvmeSum), get(sha1Sum), get(sha256Sum)}
}

// names lists the algorithms that c has, in a fixed order.
func (c Checksums) names() []string {
	var names []string
	for _, name := range algorithms() {
		if _, ok := c[name]; ok {
			names = append(names, name)
		}
	}
	return names
}

// refuseSums refuses the members for checksums that are not served.
func refuseSums(members ...*string) error {
	for _, m := range members {
		if m != nil {
			return errNotImplemented("a checksum other than CRC32, CRC32C, CRC64NVME, SHA1 and SHA256")
		}
	}
	return nil
}

func checksumType(c Checksums, composite bool) types.ChecksumType {
	switch {
	case len(c) == 0:
		return ""
	case composite:
		return types.ChecksumTypeComposite
	default:
		return types.ChecksumTypeFullObject
	}
}

// partsChecksum computes the checksum of a multipart object from its parts' checksums, without reading
// them: for the whole (CRCs combine), or the hash of hashes that S3 calls composite. It returns nothing if a part lacks it.
func partsChecksum(algorithm string, composite bool, parts []Part) Checksums {
	if algorithm == "" {
		return nil
	}
	whole := newHash(algorithm)
	var crc uint64
	for i, p := range parts {
		raw, err := base64.StdEncoding.DecodeString(p.Checksums[algorithm])
		if err != nil || len(raw) != whole.Size() {
			return nil
		}
		switch {
		case composite:
			whole.Write(raw)
		case i == 0:
			crc = bigEndian(raw)
		default:
			crc = combine(algorithm, crc, bigEndian(raw), p.Size)
		}
	}
	if composite {
		return Checksums{algorithm: base64.StdEncoding.EncodeToString(whole.Sum(nil)) + "-" + strconv.Itoa(len(parts))}
	}
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], crc)
	return Checksums{algorithm: base64.StdEncoding.EncodeToString(raw[8-whole.Size():])}
}

func bigEndian(raw []byte) uint64 {
	var v uint64
	for _, b := range raw {
		v = v<<8 | uint64(b)
	}
	return v
}

// combine returns the CRC of a || b from the CRCs of a and b and the length of b in bytes: the first is
// multiplied by x^(8·len) modulo the polynomial. Polynomials are reflected: the highest bit is x^0.
func combine(algorithm string, a, b uint64, length int64) uint64 {
	poly, width := uint64(crc64NVMEPolynomial), 64
	switch algorithm {
	case crc32Sum:
		poly, width = crc32.IEEE, 32
	case crc32cSum:
		poly, width = crc32.Castagnoli, 32
	}
	one := uint64(1) << (width - 1)
	multiply := func(p, q uint64) uint64 {
		var product uint64
		for m := one; m != 0; m >>= 1 {
			if p&m != 0 {
				product ^= q
			}
			if q&1 != 0 {
				q = q>>1 ^ poly
			} else {
				q >>= 1
			}
		}
		return product
	}
	shift, square := one, one>>8 // x^0, and x^8 for one byte
	for n := length; n > 0; n >>= 1 {
		if n&1 != 0 {
			shift = multiply(square, shift)
		}
		square = multiply(square, square)
	}
	return multiply(shift, a) ^ b
}
