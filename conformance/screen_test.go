package conformance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outband/outband/lab"
	"github.com/outband/outband/virtual/pc"
)

// setup starts a machine that shows the setup of its BIOS, which has no clock in it, and takes a picture of that.
func setup(t *testing.T) (w *world, picture string, env []string) {
	t.Helper()
	w = machine(t, lab.Machine{Profile: 16, Boot: "10ms", Clock: "10:08"})
	env = []string{"AMT_PASSWORD=" + password, "OUTBAND_HOSTS=" + filepath.Join(t.TempDir(), "hosts.json")}
	if got := run(t, env, "", outband(t), "feature", "enable", "kvm", w.Address); got.code != 0 {
		t.Fatal(got)
	}
	if got := run(t, env, "", outband(t), "boot", "bios", "--now", w.Address); got.code != 0 {
		t.Fatal(got)
	}
	w.wait(t, "in the setup", func(p *pc.PC) bool { return p.Phase() == pc.Setup })
	picture = filepath.Join(t.TempDir(), "picture.png")
	if got := run(t, env, "", outband(t), "screenshot", w.Address, "-f", picture); got.code != 0 {
		t.Fatal(got)
	}
	return w, picture, env
}

// A serving is outband kvm while it runs.
type serving struct {
	Address string `json:"address"`
	Web     string `json:"web"`
	Width   int    `json:"width"`
	Height  int    `json:"height"`
}

// serve runs a command that prints a record when it serves a screen, and ends it with the test.
func serve(t *testing.T, env []string, args ...string) (s serving) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, outband(t), append(args, "-o", "json")...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = patience
	var talk bytes.Buffer
	cmd.Stderr = &talk
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait() // interrupted
	})
	if err := json.NewDecoder(out).Decode(&s); err != nil {
		t.Fatalf("%q: %v; %s", args, err, talk.String())
	}
	go io.Copy(io.Discard, out)
	return s
}

// TestViewer: TigerVNC's viewer shows the pixels that outband screenshot writes.
func TestViewer(t *testing.T) {
	viewer, shoot := tool(t, "vncviewer", "tigervnc-viewer"), tool(t, "import", "imagemagick")
	t.Parallel()
	w, picture, env := setup(t)
	want := readPNG(t, picture)
	s := serve(t, env, "kvm", w.Address, "--viewer", "none")
	if s.Width != want.Bounds().Dx() || s.Height != want.Bounds().Dy() {
		t.Fatalf("served %+v, a picture of %v", s, want.Bounds())
	}
	display := startX(t, 1280, 960).display
	env = append(env, "DISPLAY="+display, "HOME="+t.TempDir())
	show(t, env, viewer, "-PreferredEncoding=Tight", "-AutoSelect=0", "-FullColor=1", "-ViewOnly=1", strings.Replace(s.Address, ":", "::", 1))
	seen(t, env, shoot, want)
}

// TestPlayedRecording: what was recorded is the same in that viewer.
func TestPlayedRecording(t *testing.T) {
	viewer, shoot := tool(t, "vncviewer", "tigervnc-viewer"), tool(t, "import", "imagemagick")
	t.Parallel()
	w, picture, env := setup(t)
	film := filepath.Join(t.TempDir(), "film.fbs")
	if got := run(t, env, "", outband(t), "kvm", w.Address, "--viewer", "none", "--for", "1s", "--record", film); got.code != 0 {
		t.Fatal(got)
	}
	s := serve(t, env, "play", film, "--viewer", "none")
	env = append(env, "DISPLAY="+startX(t, 1280, 960).display, "HOME="+t.TempDir())
	show(t, env, viewer, "-PreferredEncoding=ZRLE", "-AutoSelect=0", "-FullColor=1", strings.Replace(s.Address, ":", "::", 1))
	seen(t, env, shoot, readPNG(t, picture))
}

// show runs a program until the end of the test.
func show(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// seen waits until a picture is on a display, pixel by pixel.
func seen(t *testing.T, env []string, shoot string, want image.Image) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.png")
	for late := time.Now().Add(2 * patience); ; {
		got := run(t, env, "", shoot, "-silent", "-window", "root", "png:"+file)
		if got.code == 0 {
			if at, ok := find(readPNG(t, file), want); ok {
				t.Logf("the viewer shows it at %v", at)
				return
			}
		}
		if time.Now().After(late) {
			if dir := os.Getenv("OUTBAND_KEEP"); dir != "" {
				os.Rename(file, filepath.Join(dir, "root.png"))
			}
			t.Fatalf("the viewer does not show it: %+v", got)
		}
		time.Sleep(200 * time.Millisecond) // the next look
	}
}

// find finds one picture in another.
func find(in, what image.Image) (image.Point, bool) {
	a, b := pixels(in), pixels(what)
	w, h, pw, ph := in.Bounds().Dx(), in.Bounds().Dy(), what.Bounds().Dx(), what.Bounds().Dy()
	for y := 0; y+ph <= h; y++ {
		for x := 0; x+pw <= w; x++ {
			same := true
			for row := 0; same && row < ph; row++ {
				same = bytes.Equal(a[4*((y+row)*w+x):4*((y+row)*w+x+pw)], b[4*row*pw:4*(row+1)*pw])
			}
			if same {
				return image.Pt(x, y), true
			}
		}
	}
	return image.Point{}, false
}

// pixels are red, green, blue and 255, row by row.
func pixels(m image.Image) []byte {
	out := make([]byte, 0, 4*m.Bounds().Dx()*m.Bounds().Dy())
	for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y++ {
		for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x++ {
			r, g, b, _ := m.At(x, y).RGBA()
			out = append(out, byte(r>>8), byte(g>>8), byte(b>>8), 255)
		}
	}
	return out
}

func readPNG(t *testing.T, file string) image.Image {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestNoVNC: noVNC in a browser shows the same pixels, and what is typed there arrives at the PC.
func TestNoVNC(t *testing.T) {
	node := tool(t, "node", "nodejs")
	tool(t, "chromium", "chromium")
	if _, err := os.Stat("browser/node_modules/@novnc/novnc"); err != nil {
		missing(t, "noVNC is not installed (npm ci in conformance/browser)")
	}
	t.Parallel()
	w, picture, env := setup(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "browser/novnc.mjs", "-", picture, "ArrowUp", "Enter")
	var talk bytes.Buffer
	cmd.Stderr = &talk
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	words := bufio.NewScanner(out)
	said := func(what string) string {
		t.Helper()
		for words.Scan() {
			if rest, ok := strings.CutPrefix(words.Text(), what); ok {
				return strings.TrimSpace(rest)
			}
		}
		err := cmd.Wait()
		t.Fatalf("the page did not come to say %q: %v; %s", what, errors.Join(err, words.Err()), talk.String())
		return ""
	}
	origin := said("origin ")
	s := serve(t, env, "kvm", w.Address, "--viewer", "none", "--web", ":0", "--origin", origin)
	io.WriteString(in, s.Web+"\n")
	if depth := said("same "); depth != "24 bits" {
		t.Errorf("shown with %s", depth)
	}
	said("pressed")
	w.wait(t, "out of the setup", isRunning) // its last line, where Up leads, is "Save and exit"
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v; %s", err, talk.String())
	}
}
