package posture

// Mutant is the rule with its decision replaced by a PASS.
func Mutant(r *Rule) *Rule {
	m := *r
	m.logic.check = func(*Trial, Subject) Outcome { return Passed("mutant") }
	return &m
}

// Without is the rule with a read taken out of what it declares.
func Without(r *Rule, operation string) *Rule {
	m := *r
	m.reads = nil
	for _, read := range r.reads {
		if read != operation {
			m.reads = append(m.reads, read)
		}
	}
	return &m
}
