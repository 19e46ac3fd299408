package flowlog

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
	"time"
)

// Place is where a flow log's files go in its bucket.
type Place struct {
	Account, Region string
	FlowLog         string // its id, such as fl-0123456789abcdef0
	Prefix          string // of the bucket; may be ""
}

// File returns the object that holds records, those of the aggregation interval that ended at end: its key, and its bytes.
// Equal records give an equal key, so that writing a file again does no harm, and other records never overwrite it.
func (p Place) File(end time.Time, records []Record, format Format) (key string, gz []byte) {
	var text bytes.Buffer
	text.WriteString(format.Header() + "\n")
	for _, r := range records {
		text.WriteString(format.Line(r) + "\n")
	}
	end = end.UTC()
	sum := sha256.Sum256(text.Bytes())
	name := strings.Join([]string{p.Account, "vpcflowlogs", p.Region, p.FlowLog, end.Format("20060102T1504Z"), hex.EncodeToString(sum[:4])}, "_")
	key = path.Join("AWSLogs", p.Account, "vpcflowlogs", p.Region, end.Format("2006/01/02"), name+".log.gz")
	if prefix := strings.Trim(p.Prefix, "/"); prefix != "" {
		key = prefix + "/" + key
	}

	// A gzip.Writer without a name and a time writes the same header always. Writing to a buffer cannot fail.
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(text.Bytes())
	_ = w.Close()
	return key, out.Bytes()
}
