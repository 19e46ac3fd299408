package remedy

import (
	"fmt"
	"slices"
	"strings"
)

// Refused are the checks that block the plan.
func (p *Plan) Refused() []Check { return p.checks(CheckRefused) }

// Unchecked are the names of the checks that could not be made, sorted.
func (p *Plan) Unchecked() []string {
	var names []string
	for _, c := range p.checks(NotChecked) {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (p *Plan) checks(status string) []Check {
	var found []Check
	for _, c := range p.Checks {
		if c.Status == status {
			found = append(found, c)
		}
	}
	return found
}

// Destroys are the steps of class D.
func (p *Plan) Destroys() []string {
	var ids []string
	for i := range p.Steps {
		if p.Steps[i].Class == Destructive {
			ids = append(ids, p.Steps[i].ID)
		}
	}
	return ids
}

// Approval is what the operator accepts of a plan.
type Approval struct {
	Hash string `json:"hash"`
	// Unchecked are the names of checks that were not made and are accepted so.
	Unchecked []string `json:"unchecked,omitempty"`
	// Cost accepts that the cost is not known, Destructive the steps of class D.
	Cost        bool `json:"cost,omitempty"`
	Destructive bool `json:"destructive,omitempty"`
}

// Allows says what of a plan, with the hash of its file, an approval lacks; nil if nothing.
func (a Approval) Allows(p *Plan, hash string) error {
	if refused := p.Refused(); len(refused) > 0 {
		var why []string
		for _, c := range refused {
			why = append(why, c.Name+": "+c.Why)
		}
		return fmt.Errorf("the plan is refused: %s", strings.Join(why, "; "))
	}
	if a.Hash != hash { // no secret
		return &DriftError{What: fmt.Sprintf("the plan's hash is %s, not the one that was approved; read it again: remediate show", hash)}
	}
	if lacks := a.lacks(p); len(lacks) > 0 {
		return &ApprovalError{lacks}
	}
	return nil
}

// lacks are the flags that an approval needs besides the hash.
func (a Approval) lacks(p *Plan) []string {
	var flags []string
	unchecked := slices.DeleteFunc(p.Unchecked(), func(name string) bool { return slices.Contains(a.Unchecked, name) })
	if len(unchecked) > 0 {
		flags = append(flags, "--accept-unchecked "+strings.Join(unchecked, ","))
	}
	if !p.Cost.Known && !a.Cost {
		flags = append(flags, "--accept-unknown-cost")
	}
	if len(p.Destroys()) > 0 && !a.Destructive {
		flags = append(flags, "--allow D")
	}
	return flags
}

// DriftError says that a plan no longer matches what it was made for, or what was approved.
type DriftError struct{ What string }

func (e *DriftError) Error() string { return e.What }

// ApprovalError says what an approval lacks, as flags.
type ApprovalError struct{ Lacks []string }

func (e *ApprovalError) Error() string {
	return "the plan is not approved as it is: it needs " + strings.Join(e.Lacks, ", ")
}

// StoppedError says that a plan was made in part. It can be resumed, or rolled back.
type StoppedError struct{ Why []string }

func (e *StoppedError) Error() string { return "stopped part-way: " + strings.Join(e.Why, "; ") }
