//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"example.com/cloister"
	"example.com/cloister/internal/server"
)

// variables are what clients read, in the order in which they are printed.
func variables() []string {
	return []string{
		"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CA_BUNDLE",
		"NODE_EXTRA_CA_CERTS",
	}
}

func envCommand() *cobra.Command {
	var flags configFlags
	var unset bool
	var profile string
	c := &cobra.Command{
		Use:   "env",
		Short: "Print the exports that point AWS's clients at the running server",
		Long: `Print the exports that point AWS's clients at the server that runs on the data directory.

  eval "$(cloister env)"            this shell's clients use Cloister
  eval "$(cloister env --unset)"    and no longer
  cloister env --profile cloister   write an AWS profile instead, for 'aws --profile cloister'

AWS_ENDPOINT_URL overrides the endpoint of every profile in that shell.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if unset {
				_, err := fmt.Fprintf(c.OutOrStdout(), "unset %s AWS_SESSION_TOKEN\n", strings.Join(variables(), " "))
				return err
			}
			data, config, err := flags.load()
			if err != nil {
				return err
			}
			access, err := readAccess(c, data, config)
			if err != nil {
				return err
			}
			if profile != "" {
				return writeProfile(c, profile, access)
			}
			return printExports(c, access)
		},
	}
	flags.register(c)
	c.Flags().BoolVar(&unset, "unset", false, "print the commands that undo the exports")
	c.Flags().StringVar(&profile, "profile", "", "write this AWS profile instead of printing exports")
	c.MarkFlagsMutuallyExclusive("unset", "profile")
	return c
}

// access is what a client needs.
type access struct {
	endpoint         server.Endpoint
	keyID, secret    string
	bundle, ca, data string
}

// readAccess finds the running server, its root key, and makes the bundle of CAs.
func readAccess(c *cobra.Command, data string, config server.Config) (access, error) {
	endpoint, err := server.ReadEndpoint(data)
	if err != nil {
		return access{}, err
	}
	credential, err := server.ReadRootCredential(c.Context(), data, cloister.AccountID(config.Account))
	if err != nil {
		return access{}, err
	}
	a := access{endpoint: endpoint, keyID: credential.AccessKeyID, secret: credential.Secret.Reveal(), ca: endpoint.CA, data: data}
	a.bundle, err = writeBundle(data, endpoint.CA)
	return a, err
}

// systemRoots are where Linux distributions keep the system's CAs.
func systemRoots() []string {
	return []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}
}

// writeBundle writes the system's CAs and ours into one file: botocore replaces its own by AWS_CA_BUNDLE.
func writeBundle(data, ca string) (string, error) {
	own, err := os.ReadFile(ca)
	if err != nil {
		return "", err
	}
	var bundle []byte
	for _, path := range systemRoots() {
		if text, err := os.ReadFile(path); err == nil {
			bundle = append(text, '\n')
			break
		}
	}
	path := filepath.Join(data, "tls", "bundle.pem")
	temp := path + ".new"
	if err := os.WriteFile(temp, append(bundle, own...), 0o600); err != nil { //nolint:gosec // below the operator's data directory
		return "", err
	}
	return path, os.Rename(temp, path)
}

func printExports(c *cobra.Command, a access) error {
	values := map[string]string{
		"AWS_ENDPOINT_URL": a.endpoint.URL, "AWS_REGION": a.endpoint.Region, "AWS_DEFAULT_REGION": a.endpoint.Region,
		"AWS_ACCESS_KEY_ID": a.keyID, "AWS_SECRET_ACCESS_KEY": a.secret, "AWS_CA_BUNDLE": a.bundle, "NODE_EXTRA_CA_CERTS": a.ca,
	}
	var out strings.Builder
	out.WriteString("# AWS_ENDPOINT_URL overrides the endpoint of every profile in this shell; undo with: eval \"$(cloister env --unset)\"\n")
	for _, name := range variables() {
		fmt.Fprintf(&out, "export %s=%s\n", name, shellQuote(values[name]))
	}
	out.WriteString("unset AWS_SESSION_TOKEN\n")
	_, err := fmt.Fprint(c.OutOrStdout(), out.String())
	return err
}

// shellQuote quotes a value for POSIX shells if it needs that.
func shellQuote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// writeProfile writes a profile into the files that AWS's clients read.
func writeProfile(c *cobra.Command, name string, a access) error {
	if !profileName.MatchString(name) {
		return usageErrorf("%q cannot be the name of a profile: use letters, digits and _.@+-", name)
	}
	configPath, err := awsFile("AWS_CONFIG_FILE", "config")
	if err != nil {
		return err
	}
	credentialsPath, err := awsFile("AWS_SHARED_CREDENTIALS_FILE", "credentials")
	if err != nil {
		return err
	}
	section := "profile " + name
	if name == "default" {
		section = name
	}
	for path, section := range map[string]string{configPath: section, credentialsPath: name} {
		if err := ours(path, section); err != nil {
			return err
		}
	}
	config := fmt.Sprintf(mark+"endpoint_url = %s\nca_bundle = %s\nregion = %s\ns3 =\n    signature_version = s3v4\n", a.endpoint.URL, a.bundle, a.endpoint.Region)
	if err := replaceSection(configPath, section, config); err != nil {
		return err
	}
	keys := fmt.Sprintf(mark+"aws_access_key_id = %s\naws_secret_access_key = %s\n", a.keyID, a.secret)
	if err := replaceSection(credentialsPath, name, keys); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "wrote profile %s to %s and %s; use it with: aws --profile %s …\n", name, configPath, credentialsPath, shellQuote(name))
	return err
}

func awsFile(variable, name string) (string, error) {
	if path := os.Getenv(variable); path != "" {
		return path, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".aws", name), nil
}

var profileName = regexp.MustCompile(`^[A-Za-z0-9_.@+-]{1,64}$`)

// mark begins every section that this program wrote, and only such sections are replaced.
const mark = "# written by cloister env\n"

// ours refuses a section that exists and is not ours.
func ours(path, section string) error {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	inside := false
	for line := range strings.Lines(string(text)) {
		if inside && line != mark {
			return fmt.Errorf("%s has a profile [%s] that was not written by this program: choose another name, or remove it", path, section)
		}
		name, header := headerOf(line)
		inside = header && name == section
	}
	if inside {
		return fmt.Errorf("%s has an empty profile [%s] that was not written by this program: choose another name, or remove it", path, section)
	}
	return nil
}

// headerOf is the name of the section that a line of an INI file begins, if it begins one.
func headerOf(line string) (name string, ok bool) {
	inner, ok := strings.CutPrefix(strings.TrimSpace(line), "[")
	name, _, closed := strings.Cut(inner, "]")
	return strings.TrimSpace(name), ok && closed
}

// replaceSection puts a section into an INI file, in place of one of the same name, and leaves the rest as
// it is. The file is private and written at once.
func replaceSection(path, section, body string) error {
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	var kept strings.Builder
	inside := false
	for line := range strings.Lines(string(text)) {
		if name, header := headerOf(line); header {
			inside = name == section
		}
		if !inside {
			kept.WriteString(line)
		}
	}
	out := kept.String()
	if out != "" && !strings.HasSuffix(out, "\n") {
		out += "\n"
	}
	out += "[" + section + "]\n" + body
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(path); err == nil { // a linked file stays linked
		path = target
	}
	temp := path + ".cloister"
	if err := os.WriteFile(temp, []byte(out), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
