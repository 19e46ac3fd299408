package remedy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/cloister/internal/awscall"
)

// check says what is wrong with a plan in itself.
func (p *Plan) check() error {
	if err := p.checkHead(); err != nil {
		return err
	}
	ids := map[string]bool{}
	for i := range p.Steps {
		s := &p.Steps[i]
		fail := func(format string, args ...any) error {
			return fmt.Errorf("step %q: %s", s.ID, fmt.Sprintf(format, args...))
		}
		if !plainID.MatchString(s.ID) || ids[s.ID] {
			return fail("its id is none, or is there twice")
		}
		if p.change(s.Change) == nil {
			return fail("there is no change %q", s.Change)
		}
		if !slices.ContainsFunc(p.Accounts, func(a Account) bool { return a.ID == s.Account }) {
			return fail("account %q is none of the plan's", s.Account)
		}
		if !plainPlace.MatchString(s.Region) {
			return fail("%q is no region", s.Region)
		}
		switch s.Kind {
		case KindCall:
			if !awscall.Changes(s.Call) {
				return fail("%s changes nothing", s.Call)
			}
			if s.After == nil {
				return fail("nothing says how to find out that it was done")
			}
		case KindWait, KindCompare:
			if s.Call != getJob {
				return fail("%s is not %s", s.Call, getJob)
			}
			if !p.waitsForOwn(s) {
				return fail("it does not look at the job that the change makes")
			}
			if s.Kind == KindCompare && s.Losses == nil {
				return fail("there are no losses to compare with")
			}
		default:
			return fail("%q is no kind of step", s.Kind)
		}
		if !s.Class.known() || s.Class.less(least(s.Call)) {
			return fail("%q is no class of %s", s.Class, s.Call)
		}
		if err := s.checkCalls(); err != nil {
			return fail("%v", err)
		}
		if err := p.checkPlaceholders(i); err != nil {
			return fail("%v", err)
		}
		ids[s.ID] = true
	}
	return nil
}

// checkHead looks at what is not steps.
func (p *Plan) checkHead() error {
	if len(p.Steps) == 0 || len(p.Changes) == 0 {
		return errors.New("the plan does nothing")
	}
	for _, a := range p.Accounts {
		if !plainPlace.MatchString(a.ID) {
			return fmt.Errorf("%q is no account", a.ID)
		}
	}
	for i, c := range p.Changes {
		if !plainID.MatchString(c.ID) || p.change(c.ID) != &p.Changes[i] {
			return fmt.Errorf("change %q: its id is none, or is there twice", c.ID)
		}
		if !c.Class.known() {
			return fmt.Errorf("change %q: %q is no class", c.ID, c.Class)
		}
	}
	for _, c := range p.Checks {
		if !plainCheck.MatchString(c.Name) {
			return fmt.Errorf("%q is no name of a check", c.Name)
		}
		if !slices.Contains([]string{CheckOK, CheckRefused, NotChecked}, c.Status) {
			return fmt.Errorf("check %s: a check is not %q", c.Name, c.Status)
		}
	}
	return nil
}

// least is the least class of a call: a plan cannot say that it is harmless.
func least(call string) Class {
	_, name, _ := strings.Cut(call, ":")
	switch {
	case call == createJob:
		return Recreate
	case call == "ec2:DeleteFlowLogs", call == "bedrock:DeleteModelInvocationLoggingConfiguration": // what they stop can be started again
		return Reversible
	case strings.HasPrefix(name, "Delete"), strings.HasPrefix(name, "Stop") && call != "cloudtrail:StopLogging":
		return Destructive
	case call == "bedrock:UpdateCustomModelDeployment", call == "bedrock:UpdateProvisionedModelThroughput", call == "kms:DisableKey":
		return Careful
	}
	return Reversible
}

// less says that a class is less grave than another.
func (c Class) less(than Class) bool {
	order := []Class{Reversible, Careful, Recreate, Destructive}
	return slices.Index(order, c) < slices.Index(order, than)
}

func (c Class) known() bool {
	return slices.Contains([]Class{Reversible, Careful, Recreate, Destructive}, c)
}

func (s *Step) checkCalls() error {
	if err := awscall.Check(s.Call, s.Parameters); err != nil {
		return err
	}
	if err := checkQueries(s.Results); err != nil {
		return err
	}
	conditions := slices.Clone(s.Before)
	if s.After != nil {
		conditions = append(conditions, *s.After)
	}
	for _, u := range s.Undo {
		if !u.Class.known() || u.Class.less(least(u.Call)) {
			return fmt.Errorf("%q is no class of %s", u.Class, u.Call)
		}
		if !awscall.Changes(u.Call) {
			return fmt.Errorf("%s undoes nothing", u.Call)
		}
		if u.Call == "bedrock:DeleteCustomModel" && (!u.Created || u.When == nil) {
			return errors.New("a rollback deletes models only when it is told to")
		}
		if err := awscall.Check(u.Call, u.Parameters); err != nil {
			return err
		}
		if u.When != nil {
			conditions = append(conditions, *u.When)
		}
	}
	for i := range conditions {
		if err := conditions[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// checkPlaceholders wants each placeholder of a step to be a result of a step before; those of its undos may be its own.
func (p *Plan) checkPlaceholders(step int) error {
	s := &p.Steps[step]
	used := []any{s.Parameters}
	for _, c := range s.Before {
		used = append(used, c.texts()...)
	}
	if s.After != nil {
		used = append(used, s.After.texts()...)
	}
	if err := p.results(used, step); err != nil {
		return err
	}
	used = nil
	for _, u := range s.Undo {
		used = append(used, u.Parameters)
		if u.When != nil {
			used = append(used, u.When.texts()...)
		}
	}
	return p.results(used, step+1)
}

// texts are where a condition may have placeholders.
func (c *Condition) texts() []any { return []any{c.Parameters, c.Query, c.Expect} }

// results wants each placeholder to be a result of the first steps.
func (p *Plan) results(used []any, steps int) error {
	for _, v := range used {
		names, err := placeholders(plain(v))
		if err != nil {
			return err
		}
		for _, name := range names {
			if name != "token" && !slices.ContainsFunc(p.Steps[:steps], func(s Step) bool { return s.gives(name) }) {
				return fmt.Errorf("no step before it gives ${%s}", name)
			}
		}
	}
	return nil
}

// gives says that name is a result of the step, answered or settled.
func (s *Step) gives(name string) bool {
	name, ok := strings.CutPrefix(name, s.ID+".")
	_, has := s.Results[name]
	if s.After != nil {
		_, settled := s.After.Results[name]
		has = has && settled
	}
	return ok && has
}

func (p *Plan) change(id string) *Change {
	i := slices.IndexFunc(p.Changes, func(c Change) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return &p.Changes[i]
}

// waitsForOwn says that a step looks at the job that its change creates.
func (p *Plan) waitsForOwn(s *Step) bool {
	var in map[string]any
	if json.Unmarshal(s.Parameters, &in) != nil {
		return false
	}
	return slices.ContainsFunc(p.Steps, func(other Step) bool {
		return other.Change == s.Change && other.Call == createJob && in["jobIdentifier"] == "${"+other.ID+".jobArn}"
	})
}
