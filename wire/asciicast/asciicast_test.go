package asciicast

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// What is recorded is played as it was, when it was.
func TestRecordAndPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var file bytes.Buffer
		w, err := NewWriter(&file, Header{Width: 80, Height: 25, Title: "nuc1"})
		if err != nil {
			t.Fatal(err)
		}
		for _, piece := range []string{"login: ", "gr\xc3", "\xbc\xc3\x9fe\r\n", "\xe2", "\x94", "\x80", "\xff\x1b[0m"} {
			if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
			time.Sleep(500 * time.Millisecond)
		}
		want := `{"version":2,"width":80,"height":25,"timestamp":946684800,"title":"nuc1"}
[0.000000,"o","login: "]
[0.500000,"o","gr"]
[1.000000,"o","üße\r\n"]
[2.500000,"o","─"]
[3.000000,"o","` + "\\ufffd" + `\u001b[0m"]
`
		if file.String() != want || w.Size() != int64(len(want)) {
			t.Errorf("got\n%s\nwant\n%s", &file, want)
		}
		r, err := NewReader(&file)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		start := time.Now()
		at, err := Play(t.Context(), r, &out, 2)
		if took := time.Since(start); err != nil || at != 3*time.Second || took != 1500*time.Millisecond {
			t.Errorf("%v, %v, took %v", at, err, took)
		}
		if got := out.String(); got != "login: grüße\r\n─\ufffd\x1b[0m" {
			t.Errorf("played %q", got)
		}
	})
}

func TestPlayEnds(t *testing.T) {
	r, err := NewReader(strings.NewReader("{\"version\":2}\n[1e6,\"o\",\"late\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Play(ctx, r, io.Discard, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestReader(t *testing.T) {
	const head = `{"version": 2, "width": 80, "height": 24, "env": {"TERM": "x"}}` + "\n"
	for _, tt := range []struct {
		name, file, want string
		err              error
	}{
		{"what others write", head + "[0.1, \"i\", \"x\"]\n[0.2, \"o\", \"a\"]\n\n[0.3, \"m\", \"\"]\n[0.1, \"o\", \"b\"]", "ab", nil},
		{"version 3", `{"version": 3}`, "", ErrFormat},
		{"no JSON", "FBS 001.000\n", "", ErrFormat},
		{"empty", "", "", ErrFormat},
		{"no event", head + "{}\n", "", ErrFormat},
		{"time before", head + "[-1, \"o\", \"x\"]\n", "", ErrFormat},
		{"time beyond", head + "[1e300, \"o\", \"x\"]\n", "", ErrFormat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			r, err := NewReader(strings.NewReader(tt.file))
			if err == nil {
				_, err = Play(t.Context(), r, &out, 0)
			}
			if out.String() != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v; want %q, %v", out.String(), err, tt.want, tt.err)
			}
		})
	}
}

func FuzzReader(f *testing.F) {
	f.Add("{\"version\":2}\n[1,\"o\",\"x\"]\n")
	f.Add("{\"version\":2,\"width\":80}\n[0.5,\"o\",\"\\u001b[0m\"]\n[1,\"i\",\"\"]")
	f.Fuzz(func(t *testing.T, file string) {
		r, err := NewReader(strings.NewReader(file))
		if err != nil {
			return
		}
		var out strings.Builder
		Play(t.Context(), r, &out, 0)
		if !utf8.ValidString(out.String()) {
			t.Errorf("played %q", out.String())
		}
	})
}

// Whatever is written, in whatever pieces, is read again.
func FuzzWriter(f *testing.F) {
	f.Add([]byte("gr\xc3\xbc\xc3"), 3)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		var file bytes.Buffer
		w, err := NewWriter(&file, Header{})
		if err != nil {
			t.Fatal(err)
		}
		cut = min(max(cut, 0), len(text))
		w.Write(text[:cut])
		w.Write(text[cut:])
		r, err := NewReader(&file)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if _, err := Play(t.Context(), r, &out, 0); err != nil {
			t.Fatal(err)
		}
		if utf8.Valid(text) && out.String() != string(text) {
			t.Errorf("%q came back as %q", text, out.String())
		}
	})
}
