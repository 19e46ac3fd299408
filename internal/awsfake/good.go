package awsfake

import _ "embed"

//go:embed testdata/good.yaml
var good []byte

// Good is a world file, testdata/good.yaml: account 111122223333 with one of everything, in which all is as
// it should be on 2026-11-25T12:00:00Z. Callers must not change it.
func Good() []byte { return good }
