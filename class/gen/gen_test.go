package gen

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/class/model"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden generates the small models in testdata and compares with the Go beside them.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.json")
	if err != nil || len(inputs) == 0 {
		t.Fatal(inputs, err)
	}
	for _, input := range inputs {
		t.Run(filepath.Base(input), func(t *testing.T) {
			text, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			m, err := model.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			got := all(t, m)
			golden := strings.TrimSuffix(input, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("want -, got + (-update writes):\n%s", diff)
			}
			if again := all(t, m); !bytes.Equal(got, again) {
				t.Error("a second run gives another text")
			}
		})
	}
}

// all returns the generated files of a model, one after the other under their names.
func all(t *testing.T, m *model.Model) []byte {
	t.Helper()
	var names []string
	for i := range m.Classes {
		names = append(names, m.Classes[i].Name)
	}
	files, err := Files(m, names)
	if err != nil {
		t.Fatal(err)
	}
	paths := make([]string, 0, len(files))
	for path := range files {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	var out bytes.Buffer
	for _, path := range paths {
		out.WriteString("-- " + path + " --\n")
		out.Write(files[path])
	}
	return out.Bytes()
}

func TestRefusals(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"class and enum", `{"enums":[{"name":"CIM_A","type":"uint8","values":[[1,"a"]]}],"classes":[{"name":"CIM_A","properties":[{"name":"P","type":"uint8","enum":"CIM_A"}]}]}`, "Go name of both"},
		{"two values", `{"enums":[{"name":"CIM_E","type":"uint8","values":[[1,"a b"],[2,"a, b"]]}],"classes":[{"name":"CIM_A","properties":[{"name":"P","type":"uint8","enum":"CIM_E"}]}]}`, "Go name of both"},
		{"method's name", `{"classes":[{"name":"CIM_A","properties":[{"name":"Element","type":"string"}]}]}`, "name of a Go method"},
		{"value without a name", `{"enums":[{"name":"CIM_E","type":"uint8","values":[[1,"-"]]}],"classes":[{"name":"CIM_A","properties":[{"name":"P","type":"uint8","enum":"CIM_E"}]}]}`, "Go name of both"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := model.Parse([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if _, err = Files(m, []string{"CIM_A"}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	m, err := model.Parse([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Files(m, []string{"CIM_A"}); err == nil {
		t.Error("a class that is not there is generated")
	}
}

func TestCamel(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"on", "On"},
		{"power cycle (off soft)", "PowerCycleOffSoft"},
		{"EAP-TTLS/MSCHAPv2", "EAPTTLSMSCHAPv2"},
		{"802.11a", "80211a"},
		{"IDER and SOL enabled", "IDERAndSOLEnabled"},
		{"<Class.>Property", "ClassProperty"},
	} {
		if got := camel(tt.text); got != tt.want {
			t.Errorf("camel(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}
