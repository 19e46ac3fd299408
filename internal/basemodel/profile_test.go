package basemodel_test

import (
	"errors"
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/basemodel"
)

func profile(tb testing.TB, method string) basemodel.Profile {
	tb.Helper()
	m := model(basemodel.Tiny)
	m.DefaultMethod = method
	p, err := m.HyperparameterProfile()
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestResolveFillsInDefaults(t *testing.T) {
	t.Parallel()
	got, err := profile(t, "full").Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := basemodel.Resolved{
		Echo: map[string]string{
			"epochCount": "5", "batchSize": "1", "learningRate": "0.00001", "learningRateWarmupSteps": "5",
		},
		Epochs: 5, BatchSize: 1, WarmupSteps: 5, LearningRate: 1e-5, EffectiveLearningRate: 1e-5,
		Method: "full", LoRARank: 16, MaxSequenceLength: 1024,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Resolve(nil) (-want +got):\n%s", diff)
	}
}

func TestResolveEchoesAsSent(t *testing.T) {
	t.Parallel()
	given := map[string]string{
		"epochCount": "1", "batchSize": "04", "learningRate": "1E-6", "learningRateWarmupSteps": "0",
		"cloister.method": "lora", "cloister.loraRank": "8", "cloister.maxSequenceLength": "2048", "cloister.seed": "7",
	}
	before := maps.Clone(given)
	got, err := profile(t, "full").Resolve(given)
	if err != nil {
		t.Fatal(err)
	}
	rate := 1e-6 // a variable, or the product below would be exact
	want := basemodel.Resolved{
		Echo: before, Epochs: 1, BatchSize: 4, LearningRate: rate, EffectiveLearningRate: rate * 20,
		Method: "lora", LoRARank: 8, MaxSequenceLength: 2048, Seed: 7,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Resolve (-want +got):\n%s", diff)
	}
	got.Echo["epochCount"] = "changed"
	if diff := cmp.Diff(before, given); diff != "" {
		t.Errorf("the caller's map changed:\n%s", diff)
	}
}

func TestResolveAcceptsSpellingsOfAWSSamples(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"0.00001": 1e-5, ".0001": 1e-4, "1E-6": 1e-6, "1e-05": 1e-5, "0": 0, "1": 1, "1.0": 1, "0.": 0,
	} {
		got, err := profile(t, "full").Resolve(map[string]string{"learningRate": text})
		if err != nil || math.Abs(got.LearningRate-want) > 1e-18 {
			t.Errorf("Resolve(learningRate=%q) = %g, %v, want %g", text, got.LearningRate, err, want)
		}
	}
}

func TestResolveScalesOnlyLoRA(t *testing.T) {
	t.Parallel()
	rate := 1e-5
	for method, want := range map[string]float64{"full": rate, "lora": rate * 20} {
		got, err := profile(t, method).Resolve(nil)
		if err != nil || got.Method != method || got.EffectiveLearningRate != want || got.LearningRate != 1e-5 {
			t.Errorf("Resolve for %s = %+v, %v, want a rate of %g", method, got, err, want)
		}
	}
}

func TestResolveRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ key, value, want string }{
		{"epochCount", "0", "1 to 10"},
		{"epochCount", "11", "1 to 10"},
		{"epochCount", "", "1 to 10"},
		{"epochCount", "2.0", "1 to 10"},
		{"epochCount", "+2", "1 to 10"},
		{"epochCount", " 2", "1 to 10"},
		{"epochCount", "99999999999999999999", "1 to 10"},
		{"batchSize", "65", "1 to 64"},
		{"batchSize", "-1", "1 to 64"},
		{"learningRateWarmupSteps", "251", "0 to 250"},
		{"learningRate", "1.1", "0 to 1"},
		{"learningRate", "-0.1", "0 to 1"},
		{"learningRate", "NaN", "0 to 1"},
		{"learningRate", "inf", "0 to 1"},
		{"learningRate", "0x1p-2", "0 to 1"},
		{"learningRate", "1_0e-3", "0 to 1"},
		{"learningRate", ".", "0 to 1"},
		{"cloister.method", "qlora", "full, lora"},
		{"cloister.maxSequenceLength", "15", "16 to 2048"},
		{"cloister.maxSequenceLength", "2049", "16 to 2048"},
		{"cloister.seed", "4294967296", "0 to 4294967295"},
		{"cloister.loraRank", "8", "cloister.method=lora"},
		{"EpochCount", "1", "unknown key"},
		{"cloister.x", "1", "unknown key"},
	}
	for _, tt := range tests {
		t.Run(tt.key+"="+tt.value, func(t *testing.T) {
			t.Parallel()
			got, err := profile(t, "full").Resolve(map[string]string{tt.key: tt.value})
			var fault *basemodel.HyperparameterError
			if !errors.As(err, &fault) || fault.Key != tt.key || fault.Value != tt.value {
				t.Fatalf("Resolve = %+v, %v, want a HyperparameterError", got, err)
			}
			if text := err.Error(); !strings.Contains(text, tt.want) || !strings.Contains(text, tt.key) {
				t.Errorf("error %q does not say %q", text, tt.want)
			}
		})
	}
	if _, err := profile(t, "lora").Resolve(map[string]string{"cloister.loraRank": "257"}); err == nil {
		t.Error("Resolve of loraRank 257 succeeded")
	}
}

func TestResolveNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, err := profile(t, "full").Resolve(map[string]string{
		"epochCount": "0", "batchSize": strings.Repeat("x", 500), "nonsense": "1",
	})
	if err == nil {
		t.Fatal("Resolve succeeded")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "batchSize") || !strings.Contains(lines[1], "epochCount") ||
		!strings.Contains(lines[2], "nonsense") {
		t.Errorf("error = %q, want three lines by key", lines)
	}
	if len(lines[0]) > 300 {
		t.Errorf("the error repeats a value of 500 bytes")
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("epochCount", "1")
	f.Add("learningRate", "1E-6")
	f.Add("cloister.seed", "7")
	p := profile(f, "lora")
	f.Fuzz(func(t *testing.T, key, value string) {
		r, err := p.Resolve(map[string]string{key: value})
		if err != nil {
			return
		}
		if r.Echo[key] != value {
			t.Fatalf("Echo[%q] = %q, want %q", key, r.Echo[key], value)
		}
		if r.Epochs < 1 || r.Epochs > 10 || r.BatchSize < 1 || r.BatchSize > 64 || r.WarmupSteps < 0 ||
			!(r.LearningRate >= 0 && r.LearningRate <= 1) || r.LoRARank < 1 || r.MaxSequenceLength < 16 || r.Seed < 0 {
			t.Fatalf("Resolve(%q=%q) = %+v is out of range", key, value, r)
		}
	})
}
