package posture_test

import (
	"testing"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
)

// BenchmarkEvaluate judges 10,000 collected jobs with the whole pack. Collecting does not count.
func BenchmarkEvaluate(b *testing.B) {
	p, err := posture.Load()
	if err != nil {
		b.Fatal(err)
	}
	all, err := p.Select()
	if err != nil {
		b.Fatal(err)
	}
	o := options(awsfake.New(awsfake.Generate(awsfake.GenerateOptions{Regions: 30, Jobs: 10_000, Models: 60, Sharing: 20}), awsfake.Options{}), all)
	c, err := collect.Run(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	jobs := 0
	for _, a := range c.Inventory.Accounts {
		for _, r := range a.Regions {
			jobs += len(r.Jobs.Items)
		}
	}
	if jobs != 10_000 {
		b.Fatalf("%d jobs were collected", jobs)
	}
	b.ReportAllocs()
	results := 0
	for b.Loop() {
		results = len(posture.Evaluate(c.Inventory, all, all))
	}
	b.ReportMetric(float64(len(all)), "rules")
	b.ReportMetric(float64(results), "results")
}
