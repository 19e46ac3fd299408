package collect

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"example.com/cloister/internal/posture"
)

// words keeps one copy of what an account's records repeat: roles, base models, keys, URIs, networks, tags. A decoder makes
// new strings for each answer; for 6,000 jobs that is a third of the inventory. It is safe for concurrent use.
type words struct {
	mu   sync.Mutex // guards what follows
	text map[string]string
	tags map[string]map[string]string
	nets map[string]any
}

func newWords() *words {
	return &words{text: map[string]string{}, tags: map[string]map[string]string{}, nets: map[string]any{}}
}

// locked replaces strings by earlier ones that are equal, under the lock.
func (w *words) locked(fields ...*string) {
	for _, field := range fields {
		if kept, ok := w.text[*field]; ok {
			*field = kept
		} else {
			w.text[*field] = *field
		}
	}
}

// job shares the parts of a job's record.
func (w *words) job(d *posture.JobDetail) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.locked(&d.Role, &d.Base, &d.Teacher, &d.Key, &d.Training, &d.LogsURI, &d.Output)
	for _, list := range [][]string{d.Subnets, d.Groups, d.Validation} {
		for i := range list {
			w.locked(&list[i])
		}
	}
	if d.HasVPC {
		net := strings.Join(d.Subnets, " ") + "\n" + strings.Join(d.Groups, " ")
		if kept, ok := w.nets[net]; ok {
			d.VPC = kept
		} else {
			w.nets[net] = d.VPC
		}
	}
}

// same returns an equal set of tags that was there before, or this one. Nobody changes tags.
func (w *words) same(tags map[string]string) map[string]string {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		text.WriteString(key + "\x00" + tags[key] + "\x00")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if kept, ok := w.tags[text.String()]; ok {
		return kept
	}
	w.tags[text.String()] = tags
	return tags
}
