package posture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Gap is a read that is known to fail and accepted for a time: it makes no audit incomplete. The results stay ERROR.
type Gap struct {
	// Operation is such as "s3:GetBucketAcl"; patterns as in mutes.
	Operation string `yaml:"operation"`
	Code      string `yaml:"code,omitempty"`
	Account   string `yaml:"account,omitempty"`
	Region    string `yaml:"region,omitempty"`
	Resource  string `yaml:"resource,omitempty"`
	Reason    string `yaml:"reason"`
	Owner     string `yaml:"owner"`
	Expires   string `yaml:"expires"`

	used int
}

// Gaps are accepted gaps.
type Gaps struct{ Gaps []*Gap }

// ParseGaps reads a file of accepted gaps: YAML, `version: 1` and `gaps:` with a list. Every entry must be well-formed.
func ParseGaps(text []byte, now time.Time) (*Gaps, error) {
	var file struct {
		Version int    `yaml:"version"`
		Gaps    []*Gap `yaml:"gaps"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has more than one document: take the second '---' out")
	}
	if file.Version != 1 {
		return nil, fmt.Errorf("version is %d; this program reads version 1: begin the file with 'version: 1'", file.Version)
	}
	for i, g := range file.Gaps {
		if g == nil || g.Operation == "" || g.Reason == "" || g.Owner == "" {
			return nil, fmt.Errorf("gap %d needs operation, reason and owner", i+1)
		}
		day, err := time.Parse(time.DateOnly, g.Expires)
		switch {
		case err != nil:
			return nil, fmt.Errorf("gap %d: expires is %q: write a date such as 2027-01-31", i+1, g.Expires)
		case day.Sub(now) > muteYear:
			return nil, fmt.Errorf("gap %d lasts longer than a year", i+1)
		case anything(g.Operation) || !strings.Contains(g.Operation, ":"):
			return nil, fmt.Errorf("gap %d: the operation %q names none: write one such as s3:GetBucketAcl", i+1, g.Operation)
		}
	}
	return &Gaps{file.Gaps}, nil
}

func (g *Gap) expired(now time.Time) bool {
	day, err := time.Parse(time.DateOnly, g.Expires)
	return err != nil || !now.Before(day.AddDate(0, 0, 1))
}

func (g *Gap) matches(u *Unread) bool {
	return matches(g.Operation, u.Operation) && matches(g.Code, u.Code) && matches(g.Account, u.Account) &&
		matches(g.Region, u.Region) && matches(g.Resource, u.Resource)
}

// accepts says whether a gap accepts an unread datum. What needs a policy evaluator is accepted by default: this version has
// none, and says so in every such result.
func (gs *Gaps) accepts(u *Unread, now time.Time) bool {
	if u.Code == CodeNeedsEvaluator {
		return true
	}
	accepted := false
	for _, g := range gs.Gaps {
		if g.matches(u) {
			g.used++
			accepted = accepted || !g.expired(now)
		}
	}
	return accepted
}

// Apply marks the ERRORs all of whose unread data are accepted, and returns notes about gaps that are expired or unused. It
// changes results, and returns them.
func (gs *Gaps) Apply(results []Result, now time.Time) ([]Result, []string) {
	for i := range results {
		if results[i].Status == Error && len(results[i].Unread) > 0 {
			results[i].Accepted = true
			for _, u := range results[i].Unread { // all of them, so that every gap that matches counts as used
				if !gs.accepts(u, now) {
					results[i].Accepted = false
				}
			}
		}
	}
	var notes []string
	for _, g := range gs.Gaps {
		name := strings.Join(slices.DeleteFunc([]string{g.Operation, g.Code, g.Account, g.Region, g.Resource}, func(s string) bool { return s == "" }), " ")
		switch {
		case g.expired(now):
			notes = append(notes, fmt.Sprintf("the accepted gap %s expired on %s (owner %s): it accepts nothing", name, g.Expires, g.Owner))
		case g.used == 0:
			notes = append(notes, fmt.Sprintf("the accepted gap %s matches nothing (owner %s): take it results", name, g.Owner))
		}
	}
	return results, notes
}
