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

// cacheSchema changes whenever posture.JobDetail does.
const cacheSchema = 1

// cache keeps the records of the jobs of one region that have ended: they never change again. It holds the names and ARNs of
// the record, in files with mode 0600. A damaged or older file is as good as none.
type cache struct {
	path  string // "" keeps nothing
	words *words

	mu   sync.Mutex // guards jobs
	old  map[string]cachedJob
	jobs map[string]cachedJob
}

type cachedJob struct {
	Detail *posture.JobDetail `json:"detail"`
	Source posture.Source     `json:"source"`
}

type cacheFile struct {
	Schema int                  `json:"schema"`
	Jobs   map[string]cachedJob `json:"jobs"`
}

func (g *region) openCache() *cache {
	c := &cache{words: g.words, old: map[string]cachedJob{}, jobs: map[string]cachedJob{}}
	if g.CacheDir == "" || g.Player != nil || !g.Wanted["bedrock:GetModelCustomizationJob"] {
		return c
	}
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
		c.old = file.Jobs
	}
	return c
}

// job returns the record of a job that has ended from the cache, or reads it.
func (c *cache) job(j *posture.Job, read func() posture.Datum[*posture.JobDetail]) posture.Datum[*posture.JobDetail] {
	if c.path == "" {
		return read()
	}
	c.mu.Lock()
	kept, ok := c.old[j.ARN]
	c.mu.Unlock()
	// The listing is of now: a record whose status or date differs is of another job.
	if !ok || kept.Detail == nil || kept.Detail.ARN != j.ARN || kept.Detail.Status != j.Status || !kept.Detail.Terminal() || !kept.Detail.Created.Equal(j.Created) {
		d := read()
		if detail, known := d.Read(); known && detail != nil && detail.Terminal() {
			c.keep(j.ARN, cachedJob{detail, *d.Source()})
		}
		return d
	}
	c.keep(j.ARN, kept)
	c.words.job(kept.Detail)
	source := kept.Source
	source.Cached = true
	return posture.Known(kept.Detail, &source)
}

func (c *cache) keep(arn string, job cachedJob) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobs[arn] = job
}

// save replaces the file by rename. A cache that cannot be written only costs calls next time.
func (c *cache) save() {
	if c.path == "" || len(c.jobs) == 0 {
		return
	}
	body, err := json.Marshal(cacheFile{cacheSchema, c.jobs})
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
