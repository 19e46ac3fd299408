package netd

import (
	"log/slog"
	"testing"

	"example.com/cloister/internal/executor/local"
)

// FuzzRequest: whatever the server sends, the helper answers or refuses, and does not fall over. Sandboxes and networks are not made.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][2]string{
		{opRun, `{"Box":"a","Run":1,"Argv":["/bin/true"],"Stdout":true}`},
		{opKill, `{"ID":"a","Run":1}`},
		{opDestroy, `{"ID":"a"}`},
		{opAttach, `{"VPC":"vpc-1"}`},
		{opDetach, `{"VPC":"vpc-1","ID":"eni-1"}`},
		{opSetGroups, `{"VPC":"vpc-1","ID":"eni-1","Groups":["sg-1"]}`},
		{opCut, `{}`},
		{opFlows, `{"VPC":"x"}`},
		{opDrop, `{"VPC":"x"}`},
		{opListen, `{"VPC":"x","Network":"tcp","Address":"198.18.0.2:443"}`},
		{"nothing", `null`},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, op string, args []byte) {
		if op == opApply || op == opCreate || op == opSetup {
			t.Skip()
		}
		s := &Server{log: slog.New(slog.DiscardHandler), networks: newNetworks(), boxes: map[string]*held{}, local: &local.Executor{}}
		if _, files, _ := s.do(t.Context(), request{ID: 1, Op: op, Args: args}, nil); len(files) > 0 {
			t.Errorf("descriptors came of %s %s", op, args)
		}
	})
}
