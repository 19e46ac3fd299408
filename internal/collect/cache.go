package collect

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"

	"example.com/cloister/internal/posture"
)

// cacheSchema changes whenever posture.JobDetail or posture.ModelDetail does.
const cacheSchema = 2

// cache keeps the records of one region that never change again: those of jobs that have ended and of models that are made.
// It holds the names and ARNs of the records, in files with mode 0600. A damaged or older file is as good as none.
type cache struct {
	path   string // "" keeps nothing
	jobs   shelf[posture.JobDetail]
	models shelf[posture.ModelDetail]
}

// shelf keeps the records of one kind.
type shelf[T any] struct {
	open  bool          // else nothing is kept or taken
	final func(*T) bool // says that a record never changes again

	mu   sync.Mutex // guards now
	then map[string]kept[T]
	now  map[string]kept[T]
}

type kept[T any] struct {
	Detail *T             `json:"detail"`
	Source posture.Source `json:"source"`
}

type cacheFile struct {
	Schema int                                  `json:"schema"`
	Jobs   map[string]kept[posture.JobDetail]   `json:"jobs"`
	Models map[string]kept[posture.ModelDetail] `json:"models"`
}

func (g *region) openCache() *cache {
	c := &cache{}
	c.jobs.final, c.models.final = (*posture.JobDetail).Terminal, (*posture.ModelDetail).Terminal
	if g.CacheDir == "" || g.Player != nil {
		return c
	}
	c.jobs.open, c.models.open = g.Wanted["bedrock:GetModelCustomizationJob"], g.Wanted["bedrock:GetCustomModel"]
	place := "aws"
	if base := g.bedrock.Options().BaseEndpoint; base != nil {
		sum := sha256.Sum256([]byte(*base))
		place = hex.EncodeToString(sum[:8])
	}
	c.path = filepath.Join(g.CacheDir, place, g.account.inv.Partition+"-"+g.account.inv.ID, g.name+".json")
	text, err := os.ReadFile(c.path)
	if err != nil {
		return c
	}
	var file cacheFile
	if err := json.Unmarshal(text, &file); err == nil && file.Schema == cacheSchema {
		c.jobs.then, c.models.then = file.Jobs, file.Models
	}
	return c
}

// job returns the record of a job that has ended from the cache, or reads it.
func (c *cache) job(g *region, j *posture.Job, read func() posture.Datum[*posture.JobDetail]) posture.Datum[*posture.JobDetail] {
	// The listing is of now: a record that differs is of another job.
	d := c.jobs.record(j.ARN, func(d *posture.JobDetail) bool {
		return d.ARN == j.ARN && d.Name == j.Name && d.Status == j.Status && d.Created.Equal(j.Created)
	}, read)
	if detail, known := d.Read(); known && d.Source().Cached {
		g.words.job(detail)
	}
	return d
}

// model returns the record of a model that is made from the cache, or reads it.
func (c *cache) model(m *posture.Model, read func() posture.Datum[*posture.ModelDetail]) posture.Datum[*posture.ModelDetail] {
	return c.models.record(m.ARN, func(d *posture.ModelDetail) bool {
		return d.ARN == m.ARN && d.Name == m.Name && d.Created.Equal(m.Created)
	}, read)
}

// record returns what was kept, if that is of the thing that is listed, or reads it, and keeps it for the next time if it is
// final.
func (s *shelf[T]) record(arn string, listed func(*T) bool, read func() posture.Datum[*T]) posture.Datum[*T] {
	if !s.open {
		return read()
	}
	if old := s.then[arn]; old.Detail != nil && s.final(old.Detail) && listed(old.Detail) {
		s.keep(arn, old)
		source := old.Source
		source.Cached = true
		return posture.Known(old.Detail, &source)
	}
	d := read()
	if detail, known := d.Read(); known && detail != nil && s.final(detail) {
		s.keep(arn, kept[T]{detail, *d.Source()})
	}
	return d
}

func (s *shelf[T]) keep(arn string, record kept[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		s.now = map[string]kept[T]{}
	}
	s.now[arn] = record
}

// records are those of this audit, or the earlier ones if it met none: it may not have looked for any.
func (s *shelf[T]) records() map[string]kept[T] {
	if len(s.now) == 0 {
		return s.then
	}
	return s.now
}

// save replaces the file by rename. A cache that cannot be written only costs calls next time.
func (c *cache) save() {
	if c.path == "" || len(c.jobs.now)+len(c.models.now) == 0 {
		return
	}
	body, err := json.Marshal(cacheFile{cacheSchema, c.jobs.records(), c.models.records()})
	if err != nil {
		return
	}
	dir := filepath.Dir(c.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return
	}
	_, err = f.Write(body)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), c.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
}
