// Command fakeaws serves package awsfake on a port: an AWS for benchmarks and for trying the auditor by hand.
//
//	go run ./bench/fakeaws -listen 127.0.0.1:4566 &        (-writable lets jobs be created and settings be changed)
//	AWS_ACCESS_KEY_ID=AKIAFAKE111122223333 AWS_SECRET_ACCESS_KEY=any cloister audit --endpoint http://127.0.0.1:4566
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"example.com/cloister/internal/awsfake"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fakeaws:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:0", "address to serve on")
	file := flag.String("world", "", "world file (default: the all-compliant one)")
	var g awsfake.GenerateOptions
	flag.IntVar(&g.Regions, "regions", 0, "generate a world with this many regions instead")
	flag.IntVar(&g.Jobs, "jobs", 200, "jobs of the generated world, in all")
	flag.IntVar(&g.Models, "models", 0, "custom models of the generated world, in all (default: one for each completed job)")
	flag.IntVar(&g.Homes, "homes", 0, "regions of the generated world with jobs (default: all)")
	flag.IntVar(&g.Sharing, "sharing", 1, "how many times as many jobs as usual share a VPC, key and bucket")
	var o awsfake.Options
	flag.DurationVar(&o.Latency, "latency", 0, "time that each answer takes")
	flag.Float64Var(&o.Rate, "rate", 0, "requests a second of each account, region, service and operation; 0 for no limit")
	flag.IntVar(&o.Burst, "burst", 10, "burst of -rate")
	flag.BoolVar(&o.Writable, "writable", false, "serve the operations that change something too")
	flag.IntVar(&o.JobPolls, "job-polls", 0, "polls that find a created customization job in progress before one finds that it has ended")
	flag.Parse()
	o.Now = time.Now //nolint:forbidigo // the clock of the whole program
	w, err := world(*file, g)
	if err != nil {
		return err
	}
	server := awsfake.New(w, o)
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(os.Stdout, "ready http://%s\n", l.Addr()); err != nil {
		return err
	}
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second}
	srv.Handler = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) { // a mux would redirect unclean paths
		if r.URL.Path != "/_fake/stats" {
			server.ServeHTTP(out, r)
			return
		}
		_ = json.NewEncoder(out).Encode(statsOf(server, w))
	})
	return srv.Serve(l)
}

// stats are what /_fake/stats says.
type stats struct {
	Calls       int `json:"calls"`
	Throttled   int `json:"throttled"`
	MaxInFlight int `json:"maxInFlight"`
	// Busiest is the most calls of one action in one region of one account: what a rate limit makes slow.
	Busiest int `json:"busiest"`
	// Operations are the calls of each operation, in all.
	Operations map[string]int `json:"operations"`
	// Regions are the enabled regions of the world.
	Regions []string `json:"regions"`
}

func statsOf(server *awsfake.Server, w *awsfake.World) stats {
	s := stats{Operations: map[string]int{}, Regions: w.Regions()}
	s.Calls, s.Throttled, s.MaxInFlight = server.Stats()
	limited := map[[4]string]int{}
	for _, c := range server.Calls() {
		s.Operations[c.Service+":"+c.Operation]++
		key := [4]string{c.Account, c.Region, c.Service, c.Operation}
		limited[key]++
		s.Busiest = max(s.Busiest, limited[key])
	}
	return s
}

func world(file string, g awsfake.GenerateOptions) (*awsfake.World, error) {
	if g.Regions > 0 {
		return awsfake.Generate(g), nil
	}
	text := awsfake.Good()
	if file != "" {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	return awsfake.Load(bytes.NewReader(text))
}
