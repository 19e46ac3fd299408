package server

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"example.com/cloister"
	"example.com/cloister/internal/basemodel"
	"example.com/cloister/internal/executor"
)

// Config is the server's configuration: one TOML file (cloister.toml in the data directory), over it the
// environment (CLOISTER_ and the key in capitals, such as CLOISTER_JOBS_CONCURRENT), over it flags.
type Config struct {
	// Listen is the address of the one HTTPS endpoint; AdminListen, on loopback, has metrics and probes.
	Listen      string `toml:"listen"`
	AdminListen string `toml:"admin_listen"`
	// Names are host names and addresses that the certificate is also for.
	Names   []string `toml:"names"`
	Account string   `toml:"account"`
	Region  string   `toml:"region"`
	// User is who the server becomes when it is started as root.
	User string `toml:"user"`
	// Store is "sqlite", the only one so far.
	Store   string        `toml:"store"`
	Log     LogConfig     `toml:"log"`
	Jobs    JobsConfig    `toml:"jobs"`
	Models  ModelsConfig  `toml:"models"`
	Engine  EngineConfig  `toml:"engine"`
	Sandbox SandboxConfig `toml:"sandbox"`
}

// LogConfig is about the server's log, on standard error.
type LogConfig struct {
	Level  string `toml:"level"`  // debug, info, warn, error
	Format string `toml:"format"` // text, json
}

// JobsConfig is about the queue.
type JobsConfig struct {
	Concurrent int `toml:"concurrent"` // jobs at once
	Queue      int `toml:"queue"`      // jobs that may wait; above that creation is refused
}

// ModelsConfig is about base models.
type ModelsConfig struct {
	// Aliases maps foundation-model ids to installed base models; entries here are added to the default ones
	// and replace them.
	Aliases map[string]string `toml:"aliases"`
}

// EngineConfig is about the training engine.
type EngineConfig struct {
	Device  string `toml:"device"`  // "cpu", the only one so far
	Threads int    `toml:"threads"` // 0 means the number of processors
}

// SandboxConfig bounds every job. Sizes are in MiB.
type SandboxConfig struct {
	Memory  int64    `toml:"memory"` // process memory and scratch together
	Scratch int64    `toml:"scratch"`
	Shm     int64    `toml:"shm"`
	Pids    int      `toml:"pids"`
	Wall    Duration `toml:"wall"`
	// AllowSwap lets jobs run although their memory could be swapped out; the job's record says so.
	AllowSwap bool `toml:"allow_swap"`
	// RequireCgroup refuses to run jobs where no cgroup limits them: "true", "false", or "auto", which is true for root.
	RequireCgroup string `toml:"require_cgroup"`
}

// Duration is a time.Duration that TOML and the environment write as text, such as "24h".
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// MarshalText writes a duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Default is the configuration of a server that was told nothing. The limits fit a workstation: training
// all weights of a 135 M model takes 3.7 GB (docs/benchmarks.md).
func Default() Config {
	return Config{
		Listen: "127.0.0.1:8700", AdminListen: "127.0.0.1:8701", Names: []string{}, Account: string(cloister.DefaultAccount),
		Region: string(cloister.DefaultRegion), User: "cloister", Store: "sqlite",
		Log: LogConfig{Level: "info", Format: "text"}, Jobs: JobsConfig{Concurrent: 1, Queue: 10},
		Models: ModelsConfig{Aliases: map[string]string{}}, Engine: EngineConfig{Device: "cpu"},
		Sandbox: SandboxConfig{Memory: 8192, Scratch: 4096, Shm: 512, Pids: 512, Wall: Duration(24 * time.Hour), RequireCgroup: "auto"},
	}
}

// Load reads the file at path over the defaults, and the environment over both. A missing file is no error
// unless required. Unknown keys are errors.
func Load(path string, required bool, getenv func(string) (string, bool)) (Config, error) {
	c := Default()
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && !required:
	case err != nil:
		return Config{}, fmt.Errorf("configuration: %w", err)
	default:
		meta, err := toml.Decode(string(text), &c)
		if err != nil {
			return Config{}, fmt.Errorf("configuration %s: %w", path, err)
		}
		if unknown := meta.Undecoded(); len(unknown) > 0 {
			return Config{}, fmt.Errorf("configuration %s: unknown key %s", path, unknown[0])
		}
	}
	return c, environment(reflect.ValueOf(&c).Elem(), "CLOISTER", getenv)
}

// environment sets every scalar whose variable is set.
func environment(v reflect.Value, prefix string, getenv func(string) (string, bool)) error {
	for field, value := range v.Fields() {
		name := prefix + "_" + strings.ToUpper(field.Tag.Get("toml"))
		if value.Kind() == reflect.Struct {
			if err := environment(value, name, getenv); err != nil {
				return err
			}
			continue
		}
		text, ok := getenv(name)
		if !ok {
			continue
		}
		if err := setText(value, text); err != nil {
			return fmt.Errorf("environment variable %s: %w", name, err)
		}
	}
	return nil
}

func setText(v reflect.Value, text string) error {
	if d, ok := reflect.TypeAssert[*Duration](v.Addr()); ok {
		return d.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		v.SetBool(b)
		return err
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		v.SetInt(n)
		return err
	case reflect.Slice:
		v.Set(reflect.ValueOf(strings.Split(text, ",")))
	default:
		return errors.New("this key can only be set in the file")
	}
	return nil
}

// Check makes sure that the configuration can be served.
func (c Config) Check() error {
	switch {
	case !cloister.AccountID(c.Account).Valid():
		return fmt.Errorf("account %q is not twelve digits", c.Account)
	case !cloister.Region(c.Region).Valid():
		return fmt.Errorf("region %q is not a region name such as us-east-1", c.Region)
	case c.Store != "sqlite":
		return fmt.Errorf("store %q is not served yet: sqlite is", c.Store)
	case c.Engine.Device != "cpu":
		return fmt.Errorf("engine.device %q is not served yet: no GPU enters the sandbox; use cpu", c.Engine.Device)
	case c.Engine.Threads < 0 || c.Engine.Threads > 1024:
		return errors.New("engine.threads must be between 0 and 1024")
	case c.Jobs.Concurrent < 1 || c.Jobs.Queue < 1:
		return errors.New("jobs.concurrent and jobs.queue must be at least 1")
	case c.Sandbox.Memory < 256 || c.Sandbox.Scratch < 64 || c.Sandbox.Shm < 16 || c.Sandbox.Pids < 64 || time.Duration(c.Sandbox.Wall) < time.Minute:
		return errors.New("sandbox: at least memory 256, scratch 64, shm 16 (MiB), pids 64 and wall 1m")
	case c.Sandbox.RequireCgroup != "auto" && c.Sandbox.RequireCgroup != "true" && c.Sandbox.RequireCgroup != "false":
		return fmt.Errorf("sandbox.require_cgroup %q is none of auto, true and false", c.Sandbox.RequireCgroup)
	case c.Log.Format != "text" && c.Log.Format != "json":
		return fmt.Errorf("log.format %q is neither text nor json", c.Log.Format)
	}
	host, _, err := net.SplitHostPort(c.AdminListen)
	if err != nil {
		return fmt.Errorf("admin_listen: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("admin_listen %q is not a loopback address: metrics and probes are not authenticated", c.AdminListen)
	}
	for alias, target := range c.Models.Aliases {
		if !basemodel.ValidID(alias) || !basemodel.ValidID(target) {
			return fmt.Errorf("models.aliases: %q = %q: both must be model ids such as amazon.titan-text-lite-v1:0:4k", alias, target)
		}
	}
	return nil
}

// Print writes the effective configuration as TOML. It has no secrets.
func (c Config) Print() (string, error) {
	var out bytes.Buffer
	enc := toml.NewEncoder(&out)
	enc.Indent = ""
	err := enc.Encode(c)
	return out.String(), err
}

// AliasMap has the default aliases, and the configured ones over them.
func (c Config) AliasMap() map[string]string {
	out := basemodel.DefaultAliases()
	maps.Copy(out, c.Models.Aliases)
	return out
}

// RequireCgroup says whether jobs need a cgroup, by default as root.
func (c Config) RequireCgroup() bool {
	return c.Sandbox.RequireCgroup == "true" || c.Sandbox.RequireCgroup == "auto" && os.Geteuid() == 0
}

// limits are the sandbox's limits.
func (c Config) limits() executor.Limits {
	s := c.Sandbox
	return executor.Limits{
		MemoryBytes: s.Memory << 20, ScratchBytes: s.Scratch << 20, ShmBytes: s.Shm << 20, CPUs: runtime.NumCPU(), Pids: s.Pids,
		Wall: time.Duration(s.Wall),
	}
}

// Threads is the number of threads of a run of the engine.
func (c Config) Threads() int {
	if c.Engine.Threads > 0 {
		return c.Engine.Threads
	}
	return runtime.NumCPU()
}
