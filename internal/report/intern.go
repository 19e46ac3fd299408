package report

import "example.com/cloister/internal/posture"

// names keeps one copy of strings that repeat from result to result: a decoder makes a new one each time. 25,000 results
// with four calls of evidence each need 75 MiB without it.
type names map[string]string

func (n names) one(s *string) {
	if *s == "" {
		return
	}
	if kept, ok := n[*s]; ok {
		*s = kept
		return
	}
	n[*s] = *s
}

func (n names) all(list []string) {
	for i := range list {
		n.one(&list[i])
	}
}

func (n names) source(s *posture.Source) {
	for _, field := range []*string{&s.Operation, &s.Account, &s.Region, &s.RequestID, &s.Resource} {
		n.one(field)
	}
}

func (n names) result(one *posture.Result) {
	for _, field := range []*string{
		&one.Rule, (*string)(&one.Severity), (*string)(&one.Status), &one.Message, &one.SupersededBy, &one.Change,
	} {
		n.one(field)
	}
	n.all(one.Commands)
	if one.Identity != nil {
		n.identity(one.Identity)
	}
	for i := range one.Evidence {
		if one.Evidence[i] == nil {
			continue
		}
		n.source(one.Evidence[i])
	}
	for _, u := range one.Unread {
		if u != nil {
			n.source(&u.Source)
			n.one(&u.Code)
			n.one(&u.Message)
		}
	}
}

func (n names) identity(one *posture.Identity) {
	for _, field := range []*string{&one.Partition, &one.Account, &one.Region, &one.Resource, &one.Name, &one.Type} {
		n.one(field)
	}
	n.all(one.Jobs)
	if one.Tags != nil {
		tags := make(map[string]string, len(one.Tags))
		for key, value := range one.Tags {
			n.one(&key)
			n.one(&value)
			tags[key] = value
		}
		one.Tags = tags
	}
}
