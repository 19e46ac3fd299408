package s3

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"example.com/cloister"
)

// Limits. Source: Amazon S3 User Guide, "General purpose bucket naming rules", "Multipart upload limits".
const (
	maxKey      = 1024    // bytes
	maxPart     = 5 << 30 // bytes of a single PUT or a part
	minPart     = 5 << 20 // bytes of every part but the last
	maxParts    = 10000
	maxListing  = 1000
	maxMetadata = 2048 // bytes of keys and values
	maxDelete   = 1000
)

// checkBucketName applies the rules for general purpose buckets.
func checkBucketName(name string) error {
	if why := badBucketName(name); why != "" {
		e := cloister.Errorf("InvalidBucketName", "The specified bucket is not valid: %s.", why).WithStatus(400)
		e.Fields = map[string]string{"BucketName": name}
		return e
	}
	return nil
}

func badBucketName(name string) string {
	if len(name) < 3 || len(name) > 63 {
		return "bucket names have 3 to 63 characters"
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return "bucket names have lower-case letters, digits, dots and hyphens only"
		}
	}
	if strings.ContainsAny(name[:1]+name[len(name)-1:], ".-") {
		return "bucket names begin and end with a letter or digit"
	}
	if strings.Contains(name, "..") {
		return "bucket names have no two adjacent dots"
	}
	if _, err := netip.ParseAddr(name); err == nil || looksLikeAddress(name) {
		return "bucket names are not formatted as IP addresses"
	}
	for _, prefix := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, prefix) {
			return "the prefix " + prefix + " is reserved"
		}
	}
	for _, suffix := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, suffix) {
			return "the suffix " + suffix + " is reserved"
		}
	}
	return ""
}

// looksLikeAddress reports four groups of digits, even those too large for an address.
func looksLikeAddress(name string) bool {
	groups := strings.Split(name, ".")
	for _, g := range groups {
		if g == "" || strings.Trim(g, "0123456789") != "" {
			return false
		}
	}
	return len(groups) == 4
}

func checkKey(key string) error {
	switch {
	case key == "":
		return errInvalidArgument("The object key must not be empty.")
	case len(key) > maxKey:
		return cloister.Errorf("KeyTooLongError", "Your key is too long: %d bytes, and at most %d are allowed.", len(key), maxKey).WithStatus(400)
	case !utf8.ValidString(key):
		return cloister.Errorf("InvalidURI", "Couldn't parse the specified URI: the key is not UTF-8.").WithStatus(400)
	}
	return nil
}
