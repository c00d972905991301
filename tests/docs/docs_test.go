// Package docs holds the documentation to what it says: the two READMEs to each
// other, and the programs and commands in them to the compiler and the shell. That
// links lead somewhere is checked by internal/tools/gendoc, and the programs of
// docs/flags.md and docs/shutdown.md by tests/flaglibs.
package docs

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/runtimemetrics/runtimemetrics"
)

var (
	headings = regexp.MustCompile(`^#+ `)
	spans    = regexp.MustCompile("`[^`]+`")
	targets  = regexp.MustCompile(`\]\(([^)]*)\)`)
	figures  = regexp.MustCompile(`\d+(?:[.,]\d+)*`)
)

// section is what two languages have in common of a part of a page, from one
// heading to the next.
type section struct {
	level                         string
	blocks, spans, links, figures []string
}

// sections takes a page apart. What has no order in another language is sorted.
func sections(page string) []section {
	all := []section{{}}
	block := ""
	inBlock := false
	for _, line := range strings.Split(page, "\n") {
		s := &all[len(all)-1]
		switch fence := strings.HasPrefix(line, "```"); {
		case fence && inBlock:
			s.blocks = append(s.blocks, block)
			inBlock = false
		case fence:
			block, inBlock = line+"\n", true
		case inBlock:
			block += line + "\n"
		default:
			if level := headings.FindString(line); level != "" {
				all = append(all, section{level: level})
				s = &all[len(all)-1]
			}
			s.spans = append(s.spans, spans.FindAllString(line, -1)...)
			line = spans.ReplaceAllString(line, "")
			for _, link := range targets.FindAllStringSubmatch(line, -1) {
				if !strings.HasPrefix(link[1], "README") { // each leads to the other
					s.links = append(s.links, link[1])
				}
			}
			line = targets.ReplaceAllString(line, "")
			s.figures = append(s.figures, figures.FindAllString(line, -1)...)
		}
	}
	for _, s := range all {
		slices.Sort(s.spans)
		slices.Sort(s.links)
		slices.Sort(s.figures)
	}
	return all
}

// differences lists where two pages do not say the same.
func differences(page, other string) (all []string) {
	a, b := sections(page), sections(other)
	if len(a) != len(b) {
		return []string{fmt.Sprintf("%d headings and %d", len(a)-1, len(b)-1)}
	}
	for i := range a {
		for _, part := range []struct {
			name string
			a, b []string
		}{
			{"level of the heading", []string{a[i].level}, []string{b[i].level}},
			{"blocks", a[i].blocks, b[i].blocks},
			{"names and flags", a[i].spans, b[i].spans},
			{"links", a[i].links, b[i].links},
			{"figures", a[i].figures, b[i].figures},
		} {
			if !slices.Equal(part.a, part.b) {
				all = append(all, fmt.Sprintf("heading %d: %s: %q and %q", i, part.name, part.a, part.b))
			}
		}
	}
	return all
}

func read(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheChineseREADMESaysWhatTheEnglishOneSays(t *testing.T) {
	english, chinese := read(t, "README.md"), read(t, "README.zh-CN.md")
	if n := len(sections(english)); n < 5 {
		t.Fatalf("%d sections were found", n)
	}
	for _, difference := range differences(english, chinese) {
		t.Error(difference)
	}
}

func TestAREADMEThatIsNotKeptInStepIsFound(t *testing.T) {
	english, chinese := read(t, "README.md"), read(t, "README.zh-CN.md")
	for name, change := range map[string][2]string{
		"a figure":                    {"674 KiB", "675 KiB"},
		"a figure that is gone":       {"674 KiB", "KiB"},
		"a command":                   {"make test\n", "make check\n"},
		"a line of a program":         {"\tflag.Parse()\n", ""},
		"a flag":                      {"--metric-log=off", "--metric-log=none"},
		"a link":                      {"(docs/moving.md)", "(docs/servers.md)"},
		"the level of a heading":      {"\n## ", "\n### "},
		"a heading that is gone":      {"\n## ", "\n"},
		"a figure in another section": {"µs ", "µs 27 "},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(chinese, change[0], change[1], 1)
			if changed == chinese {
				t.Fatalf("README.zh-CN.md has no %q", change[0])
			}
			if len(differences(english, changed)) == 0 {
				t.Error("it is not found")
			}
		})
	}
}

// blocks returns the blocks of a page that have the language.
func blocks(page, language string) (all []string) {
	for _, s := range sections(page) {
		for _, block := range s.blocks {
			if body, ok := strings.CutPrefix(block, "```"+language+"\n"); ok {
				all = append(all, body)
			}
		}
	}
	return all
}

// pages are the Markdown files, but for those whose programs another test builds.
func pages(t *testing.T) (all []string) {
	t.Helper()
	out, err := exec.Command("git", "-C", root, "ls-files", "*.md").Output()
	if err != nil {
		t.Skipf("no list of files without git: %v", err)
	}
	for _, page := range strings.Fields(string(out)) {
		if page != "docs/flags.md" && page != "docs/shutdown.md" {
			all = append(all, page)
		}
	}
	return all
}

// packages are those that a piece of a program may name without importing them.
var packages = map[string]string{
	"bytes":          "bytes",
	"context":        "context",
	"flag":           "flag",
	"fmt":            "fmt",
	"http":           "net/http",
	"log":            "log",
	"os":             "os",
	"strings":        "strings",
	"time":           "time",
	"runtimemetrics": module,
	"collector":      module + "/collector",
}

// variables are those that a piece of a program may take from what surrounds it.
var variables = map[string]string{
	"gateway": "string",
	"job":     "string",
}

// program makes a piece of a program whole: a file, declarations or statements.
func program(piece string) (string, error) {
	for _, form := range []string{"package main\n%s", "package main\nfunc main() {\n%s}\n"} {
		text := fmt.Sprintf(form, piece)
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "main.go", text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		imports, around, used := "", "", ""
		ast.Inspect(file, func(n ast.Node) bool {
			if x, ok := n.(*ast.Ident); ok && variables[x.Name] != "" {
				if line := fmt.Sprintf("var %s %s\n", x.Name, variables[x.Name]); !strings.Contains(around, line) {
					around += line
				}
			}
			if selector, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := selector.X.(*ast.Ident); ok && packages[x.Name] != "" {
					if line := fmt.Sprintf("import %q\n", packages[x.Name]); !strings.Contains(imports, line) && !strings.Contains(piece, line) {
						imports += line
					}
				}
			}
			// What the piece leaves to the reader to use.
			if assign, ok := n.(*ast.AssignStmt); ok && assign.Tok == token.DEFINE {
				for _, left := range assign.Lhs {
					used += "_ = " + left.(*ast.Ident).Name + "\n"
				}
			}
			return true
		})
		if strings.HasSuffix(form, "}\n") {
			text = strings.TrimSuffix(text, "}\n") + used + "}\n"
		} else if !strings.Contains(text, "func main()") {
			text += "\nfunc main() {}\n"
		}
		return strings.Replace(text, "package main\n", "package main\n"+imports, 1) + around, nil
	}
	_, err := parser.ParseFile(token.NewFileSet(), "", "package main\n"+piece, 0)
	return "", err
}

// scratch returns a folder with a module that has what this one has.
func scratch(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range []string{"go.mod", "go.sum"} {
		text := read(t, "tests/"+file)
		if file == "go.mod" {
			clone, err := filepath.Abs(root)
			if err != nil {
				t.Fatal(err)
			}
			text = strings.Replace(text, "=> ../", "=> "+filepath.ToSlash(clone), 1)
		}
		write(t, filepath.Join(dir, file), text)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// vet compiles the pieces of programs, by what they are called.
func vet(t *testing.T, pieces map[string]string) error {
	t.Helper()
	dir := scratch(t)
	for name, piece := range pieces {
		text, err := program(piece)
		if err != nil {
			return fmt.Errorf("%s: %v", name, err)
		}
		write(t, filepath.Join(dir, name, "main.go"), text)
	}
	return run(t, dir, "go", "vet", "./...")
}

func run(t *testing.T, dir, name string, args ...string) error {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

func TestTheProgramsInTheDocumentationCompile(t *testing.T) {
	t.Parallel()
	pieces := map[string]string{}
	for _, page := range pages(t) {
		for i, block := range blocks(read(t, page), "go") {
			pieces[fmt.Sprintf("%s-%d", strings.NewReplacer("/", "_", ".", "_").Replace(page), i)] = block
		}
	}
	if len(pieces) < 5 {
		t.Fatalf("%d programs were found", len(pieces))
	}
	if err := vet(t, pieces); err != nil {
		t.Error(err)
	}
}

func TestAProgramThatDoesNotCompileIsFound(t *testing.T) {
	t.Parallel()
	for name, piece := range map[string]string{
		"a field that is not there":     "err := runtimemetrics.Start(runtimemetrics.Config{Server: \"stats:8125\"})\n",
		"a package that is not there":   "import _ \"" + module + "/environment\"\n",
		"a piece that is no program":    "flag.Parse(\n",
		"a function that takes no such": "runtimemetrics.Register(func() {})\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := vet(t, map[string]string{"piece": piece}); err == nil {
				t.Error("it compiles")
			}
		})
	}
}

func TestTheShellReadsTheCommandsInTheDocumentation(t *testing.T) {
	t.Parallel()
	n := 0
	for _, page := range pages(t) {
		for _, block := range blocks(read(t, page), "sh") {
			n++
			if err := run(t, root, "bash", "-n", "-c", block); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
	if n < 5 {
		t.Errorf("%d blocks were found", n)
	}
}

// try runs a command of README as far as that leaves the machine and other
// machines alone.
func try(t *testing.T, command string) error {
	t.Helper()
	clone, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(command)
	switch {
	case words[0] == "make":
		return run(t, root, "make", "-n", words[1])
	case strings.HasPrefix(command, "go -C ") && strings.HasSuffix(command, " run ."):
		return run(t, root, "go", "-C", words[2], "vet", ".")
	case strings.HasPrefix(command, "go get "):
		if words[2] != module {
			return fmt.Errorf("the module is called %s", module)
		}
		return nil
	case strings.HasPrefix(command, "go mod edit "):
		dir := t.TempDir()
		write(t, filepath.Join(dir, "go.mod"), "module example.com/service\n\ngo 1.21\n")
		write(t, filepath.Join(dir, "main.go"), "package main\n\nimport _ \""+module+"\"\n\nfunc main() {}\n")
		return run(t, dir, "bash", "-ec", strings.ReplaceAll(command, "/path/to/clone", clone)+"\ngo vet .")
	}
	return fmt.Errorf("this test does not know how to try %q", command)
}

func TestTheCommandsOfTheREADMERun(t *testing.T) {
	t.Parallel()
	commands := blocks(read(t, "README.md"), "sh")
	if len(commands) < 4 {
		t.Fatalf("%d blocks were found", len(commands))
	}
	for _, command := range commands {
		t.Run(strings.Fields(command)[0], func(t *testing.T) {
			t.Parallel()
			if err := try(t, strings.TrimSpace(command)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACommandThatDoesNotRunIsFound(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{
		"a target that make does not have": "make tests-of-all",
		"a folder that is not there":       "go -C examples/nowhere run .",
		"another module":                   "go get example.com/other",
		"a module without a version":       "go mod edit -require=" + module + " -replace=" + module + "=/path/to/clone\ngo mod tidy",
		"a command that nobody tries":      "true",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if try(t, command) == nil {
				t.Error("it runs")
			}
		})
	}
}
