package vpc

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"

	"example.com/cloister"
)

// only refuses an input with a member that is set and not among those that the operation honours, so that nothing is
// accepted and ignored. False and empty are how clients say no, and are not refused.
func only(in any, honoured ...string) error {
	v := reflect.ValueOf(in).Elem()
	for field, value := range v.Fields() {
		if field.IsExported() && field.Name != "DryRun" && !slices.Contains(honoured, field.Name) && given(value) {
			return unsupported("The parameter %s is not supported here: leave it out", field.Name)
		}
	}
	return nil
}

// given reports whether a value says anything.
func given(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && given(v.Elem())
	case reflect.Slice:
		return v.Len() > 0
	case reflect.Struct:
		for field, value := range v.Fields() {
			if field.IsExported() && given(value) {
				return true
			}
		}
		return false
	default:
		return !v.IsZero()
	}
}

// fingerprint is a digest of a request, to tell whether two with one client token are the same. The token itself must have
// been taken out.
func fingerprint(in any) string {
	text, err := json.Marshal(in)
	if err != nil { // inputs are plain structures
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// replayed finds what a request with the same client token made before. Another request with that token is an error.
// Source: EC2 Developer Guide, "Ensuring idempotency".
func replayed[T resource](t *table[T], token, print string) (T, error) {
	var none T
	if token == "" {
		return none, nil
	}
	for _, r := range t.items {
		if b := r.meta(); b.Token == token {
			if b.Print != print {
				return none, cloister.Errorf("IdempotentParameterMismatch", "The client token '%s' was used before with other parameters", token)
			}
			return r, nil
		}
	}
	return none, nil
}
