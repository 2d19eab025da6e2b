package pc

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/outband/outband/virtual/firmware"
)

// What the BIOS writes about a key is on the screen while it is at work, and the screen is told; the next boot begins
// with an empty one.
func TestKeyOnTheScreen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, decline := range []bool{false, true} {
			p := New(Options{Decline: decline})
			news, done := p.attend()
			answer := false
			cancel := p.Watch(func(e firmware.Event) {
				if e.Kind == firmware.EventBoot {
					select {
					case <-news:
					default:
					}
					answer = p.Confirm("Continue (Y/N)?")
				}
			})
			p.Person().Press()
			<-news // switched on
			synctest.Wait()
			for p.Phase() != SelfTest || len(p.Lines()) == 0 {
				<-news
				synctest.Wait()
			}
			want := "Continue (Y/N)? Y"
			if decline {
				want = "Continue (Y/N)? N"
			}
			if got := p.Lines(); !slices.Equal(got, []string{want}) || answer == decline {
				t.Errorf("lines %q, answered %v; want %q", got, answer, want)
			}
			if got := p.view(false); got.text == nil || got.splash || !strings.Contains(got.text.String(), want) {
				t.Errorf("the screen does not show %q: %+v", want, got)
			}
			cancel()
			for range 2 * maxLines {
				p.Print("line")
			}
			if n := len(p.Lines()); n != maxLines {
				t.Errorf("%d lines, want %d", n, maxLines)
			}
			p.Person().Reset()
			if got := p.Lines(); len(got) != 0 {
				t.Errorf("after a reset: %q", got)
			}
			done()
			p.Close()
		}
	})
}

func TestPlugIn(t *testing.T) {
	p := New(Options{})
	defer p.Close()
	if p.Key() != nil {
		t.Error("a new PC has a key")
	}
	k := struct{ firmware.Key }{}
	p.PlugIn(k)
	if p.Key() != firmware.Key(k) {
		t.Error("the key is another")
	}
	p.PlugIn(nil)
	if p.Key() != nil {
		t.Error("the key is still there")
	}
}
