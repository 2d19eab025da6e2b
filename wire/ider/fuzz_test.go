package ider

import (
	"testing"
	"time"
)

// FuzzTake has a console say anything at all to a machine with a command under way: data never exceeds what was asked
// for, and no answer is queued that was not asked for.
func FuzzTake(f *testing.F) {
	f.Add(DataToHost{Sequence: 1, Last: true, Drive: CD, Data: make([]byte, 100)}.Append(nil))
	f.Add(DataToHost{Sequence: 1, Drive: CD, Data: make([]byte, 100)}.Append(GetData{1, 512, Floppy}.Append(nil)))
	f.Add(End(0, CD, SenseReadError).Append(Features{Sub: FeatureSet, Value: enable | uint32(Now)}.Append(nil)))
	f.Add(Message{opPing, 0}.Append(Message{opResetReply, 0}.Append(Message{opClose, 0}.Append(nil))))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &Device{replies: make(chan reply, 4), results: make(chan result, 1), wasReset: make(chan struct{}, 1)}
		d.over, d.start = make(chan struct{}), time.Now()
		in := make([]byte, 64)
		d.begin(in)
		for {
			n, err := Length(b)
			if err != nil || n == 0 || n > len(b) {
				return
			}
			err = d.take(b[:n])
			if d.n > len(in) {
				t.Fatalf("%d bytes of data for %d", d.n, len(in))
			}
			for len(d.replies) > 0 {
				if r := <-d.replies; r.op != opFeatures && r.op != opPing && r.op != opClose {
					t.Fatalf("an answer to %02xh", r.op)
				}
			}
			if err != nil {
				return
			}
			b = b[n:]
		}
	})
}
