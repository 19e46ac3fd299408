//go:build linux

package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/server"
)

// configFlags are the flags that find and change a configuration.
type configFlags struct {
	data, config string
}

func (f *configFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.data, "data", "", "data directory (default: data below the data home, or CLOISTER_DATA)")
	c.Flags().StringVar(&f.config, "config", "", "configuration file (default: cloister.toml in the data directory)")
}

// dataDir is the absolute path of the data directory.
func (f *configFlags) dataDir() (string, error) {
	dir := f.data
	if dir == "" {
		dir = os.Getenv("CLOISTER_DATA")
	}
	if dir == "" {
		home, err := defaultHome()
		if err != nil {
			return "", err
		}
		dir = home.ServerData()
	}
	return filepath.Abs(dir)
}

// load reads the effective configuration.
func (f *configFlags) load() (data string, c server.Config, err error) {
	if data, err = f.dataDir(); err != nil {
		return "", server.Config{}, err
	}
	path, required := f.config, true
	if path == "" {
		path, required = filepath.Join(data, "cloister.toml"), false
	}
	c, err = server.Load(path, required, os.LookupEnv)
	return data, c, err
}

func serveCommand() *cobra.Command {
	var flags configFlags
	var listen, adminListen, storeName, user string
	var ephemeral, printConfig bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API and run jobs",
		Long: `Serve the API and run jobs, until interrupted.

One line on standard output says "ready" and where; the log goes to standard error.
'cloister env' prints what clients need.`,
		Example: "  cloister serve --data ./data &\n  eval \"$(cloister env --data ./data)\"\n  aws bedrock list-foundation-models",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if user != "" && os.Geteuid() != 0 {
				return usageErrorf("--user is for a server that is started as root: this one stays who it is")
			}
			if ephemeral {
				dir, err := os.MkdirTemp(tempDir(), "cloister-")
				if err != nil {
					return err
				}
				defer func() { _ = os.RemoveAll(dir) }()
				flags.data = filepath.Join(dir, "data")
				if os.Geteuid() == 0 { // it is made again for the server's user, who could not remove one of root
					if err := os.Remove(dir); err != nil {
						return err
					}
					flags.data = dir
				}
			}
			data, config, err := flags.load()
			if err != nil {
				return &exitError{2, err.Error()}
			}
			for value, target := range map[*string]*string{&listen: &config.Listen, &adminListen: &config.AdminListen, &storeName: &config.Store, &user: &config.User} {
				if *value != "" {
					*target = *value
				}
			}
			if ephemeral && config.AdminListen == server.Default().AdminListen {
				config.AdminListen = "127.0.0.1:0" // it must not be in the way of another server
			}
			if err := config.Check(); err != nil {
				return &exitError{2, err.Error()}
			}
			if printConfig {
				text, err := config.Print()
				if err != nil {
					return err
				}
				_, err = fmt.Fprint(c.OutOrStdout(), text)
				return err
			}
			return serve(c, data, config)
		},
	}
	flags.register(c)
	c.Flags().StringVar(&listen, "listen", "", "address of the HTTPS endpoint (default 127.0.0.1:8700; port 0 chooses one)")
	c.Flags().StringVar(&adminListen, "admin-listen", "", "loopback address for metrics and probes (default 127.0.0.1:8701)")
	c.Flags().StringVar(&storeName, "store", "", "where state is kept: sqlite")
	c.Flags().StringVar(&user, "user", "", "who the server becomes when it is started as root (default cloister)")
	c.Flags().BoolVar(&ephemeral, "ephemeral", false, "use a new data directory and remove it at the end")
	c.Flags().BoolVar(&printConfig, "print-config", false, "print the effective configuration and exit")
	c.MarkFlagsMutuallyExclusive("data", "ephemeral")
	return c
}

// tempDir is where temporary directories go. As root they must lie where the server's user can remove them.
func tempDir() string {
	if info, err := os.Stat(os.TempDir()); os.Geteuid() == 0 && (err != nil || info.Mode().Perm()&0o002 == 0) {
		return "/tmp"
	}
	return os.TempDir()
}

// serve runs a server until the command's context ends.
func serve(c *cobra.Command, data string, config server.Config) error {
	log, err := newLogger(c, config.Log)
	if err != nil {
		return &exitError{2, err.Error()}
	}
	home, err := defaultHome()
	if err != nil {
		return err
	}
	bases, err := home.Models()
	if err != nil {
		return err
	}
	ctx := c.Context()
	helper, err := startHelper(ctx, c.ErrOrStderr(), data, config, home)
	if err != nil {
		return err
	}
	defer func() { _ = helper.Close() }()
	s, err := server.Open(ctx, server.Options{
		Data: data, Config: config, Bases: server.NewVerifiedBases(bases), Engine: server.InstalledEngine{Home: home, Count: config.Threads()}, Executor: helper, Plane: helper,
		Log: log, Now: time.Now, Version: version,
	})
	if err != nil {
		return err
	}
	e := s.Endpoint()
	if why := helper.Report().Unavailable; why != "" {
		log.WarnContext(ctx, "jobs are refused: this host cannot isolate them", slog.String("reason", why))
	}
	if _, err := fmt.Fprintf(c.OutOrStdout(), "ready %s (data %s, admin %s)\n", e.URL, data, e.Admin); err != nil {
		return err
	}
	runErr := s.Run(ctx)
	if err := s.Close(); runErr == nil {
		runErr = err
	}
	return runErr
}

func newLogger(c *cobra.Command, config server.LogConfig) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(config.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	options := &slog.HandlerOptions{Level: level}
	if config.Format == "json" {
		return slog.New(slog.NewJSONHandler(c.ErrOrStderr(), options)), nil
	}
	return slog.New(slog.NewTextHandler(c.ErrOrStderr(), options)), nil
}
