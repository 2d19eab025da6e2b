package nic

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Handles of filters that no console has made. Source: spec inventory-events-policies.md section 2.3, sensor 36.
const (
	AllReceived  uint32 = 0xfffffffd
	AllSent      uint32 = 0xfffffffc
	AntiSpoofing uint32 = 0xfffffffa
)

// A Policy is what a port does with frames.
type Policy struct {
	Handle       uint32
	Filters      []Filter
	Default      [2]Default // by direction, for what no filter matches
	AntiSpoofing bool       // drop what is sent over IPv4 from an address that is not the PC's
}

// A Default is a filter for the rest.
type Default struct{ Drop, Count, Event bool }

// A Verdict is what becomes of a frame.
type Verdict uint8

// The verdicts.
const (
	Passed   Verdict = 0
	Dropped  Verdict = 1 // by a filter, the default, anti-spoofing or the heuristics
	Limited  Verdict = 2 // dropped, as a rate filter has had enough in this second
	ToEngine Verdict = 3 // AMT's own, which no filter sees
	Broken   Verdict = 4 // no Ethernet frame
)

func (v Verdict) String() string {
	switch v {
	case Passed:
		return "passed"
	case Dropped:
		return "dropped"
	case Limited:
		return "limited"
	case ToEngine:
		return "to the engine"
	}
	return "broken"
}

// Through reports whether the frame goes on.
func (v Verdict) Through() bool { return v == Passed || v == ToEngine }

// A Result is what came of offering a frame.
type Result struct {
	Verdict Verdict
	By      uint32   // handle of the filter that dropped it; 0 for none
	Events  []uint32 // handles of filters that want to be told of, for the first time; mostly nil
	Trigger Trigger  // the heuristics have found a worm with it
}

// A Count is what one filter has seen since it was activated or reset.
type Count struct {
	Handle  uint32
	Frames  uint32 // matches, of filters that count
	Matched bool
	Told    bool `json:",omitempty"` // its event
}

// Counts are those of the active policy.
type Counts struct {
	Policy  uint32
	Since   time.Time // activated
	Reset   time.Time // last; zero for never
	Filters []Count   // in the order of the policy, then all sent, all received, and anti-spoofing if it is on
}

// enginePorts are AMT's own, TCP and UDP. Source: spec wsman.md section 1.
var enginePorts = [...]uint16{16992, 16993, 16994, 16995, 623, 664}

// A Port is a network port of a PC. The zero value passes everything. All methods are safe for concurrent use.
type Port struct {
	mu     sync.Mutex // guards what follows
	policy *Policy    // active; nil: none
	counts Counts
	second int64 // that the rates are of
	rates  []uint32
	own    []netip.Addr
	worm   heuristics
}

// SetOwn tells the addresses of the PC, for anti-spoofing.
func (p *Port) SetOwn(addresses ...netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.own = slices.Clone(addresses)
}

// Apply makes a policy the active one; nil ends filtering. Counts begin anew, unless it is the policy that is active
// with the same filters.
func (p *Port) Apply(policy *Policy, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if policy == nil {
		p.policy, p.counts, p.rates = nil, Counts{}, nil
		return
	}
	same := p.policy != nil && slices.EqualFunc(p.handles(), handlesOf(policy), func(a, b uint32) bool { return a == b }) && p.policy.Handle == policy.Handle
	p.policy = policy
	if same {
		return
	}
	p.rates = make([]uint32, len(policy.Filters))
	p.counts = Counts{Policy: policy.Handle, Since: at}
	for _, h := range handlesOf(policy) {
		p.counts.Filters = append(p.counts.Filters, Count{Handle: h})
	}
}

func handlesOf(policy *Policy) []uint32 {
	out := make([]uint32, 0, len(policy.Filters)+3)
	for i := range policy.Filters {
		out = append(out, policy.Filters[i].Handle)
	}
	out = append(out, AllSent, AllReceived)
	if policy.AntiSpoofing {
		out = append(out, AntiSpoofing)
	}
	return out
}

// handles returns those of the active policy. The caller holds mu.
func (p *Port) handles() []uint32 {
	out := make([]uint32, len(p.counts.Filters))
	for i, c := range p.counts.Filters {
		out[i] = c.Handle
	}
	return out
}

// Active returns the handle of the active policy, and false if there is none.
func (p *Port) Active() (uint32, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.policy == nil {
		return 0, false
	}
	return p.policy.Handle, true
}

// Counts returns the counts as they are now.
func (p *Port) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.counts
	out.Filters = slices.Clone(out.Filters)
	return out
}

// Update returns the counts as they are now, and has filters tell of their next match again. With reset the counts begin
// anew.
func (p *Port) Update(reset bool, at time.Time) Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.counts
	out.Filters = slices.Clone(out.Filters)
	for i := range p.counts.Filters {
		p.counts.Filters[i].Told = false
		if reset {
			p.counts.Filters[i] = Count{Handle: p.counts.Filters[i].Handle}
		}
	}
	if reset {
		p.counts.Reset = at
	}
	return out
}

// Untell has filters tell of their next match again.
func (p *Port) Untell() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.counts.Filters {
		p.counts.Filters[i].Told = false
	}
}

// Restore makes the counts those of before, if the policy is the one that they are of.
func (p *Port) Restore(c Counts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.policy == nil || c.Policy != p.policy.Handle || len(c.Filters) != len(p.counts.Filters) {
		return
	}
	for i := range c.Filters {
		if c.Filters[i].Handle != p.counts.Filters[i].Handle {
			return
		}
	}
	p.counts = c
	p.counts.Filters = slices.Clone(c.Filters)
}

// Offer has a frame pass the port now; see [Port.OfferAt].
func (p *Port) Offer(d Direction, frame []byte) Result { return p.OfferAt(time.Now(), d, frame) }

// OfferAt has a frame pass the port at a moment, which rates and the heuristics go by. Any filter that drops, or a rate
// filter that has had enough, drops the frame; else any other match passes it; else the default of the direction counts.
// It keeps no reference to the frame.
func (p *Port) OfferAt(at time.Time, d Direction, frame []byte) (r Result) {
	f, err := ParseFrame(frame)
	if err != nil || d > Receive {
		return Result{Verdict: Broken}
	}
	if f.engine(d) {
		return Result{Verdict: ToEngine}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if d == Transmit {
		r.Trigger = p.worm.see(at, &f)
		if p.worm.blocks(at, &f) {
			r.Verdict = Dropped
			return r
		}
	}
	if p.policy != nil {
		p.filter(at, d, &f, &r)
	}
	return r
}

// engine reports whether a frame is of AMT's own connections.
func (f *Frame) engine(d Direction) bool {
	port := f.DstPort
	if d == Transmit {
		port = f.SrcPort
	}
	return f.Ports && slices.Contains(enginePorts[:], port)
}

// filter holds a frame against the active policy. The caller holds mu.
func (p *Port) filter(at time.Time, d Direction, f *Frame, r *Result) {
	policy, defaults := p.policy, len(p.policy.Filters)
	if policy.AntiSpoofing && d == Transmit && p.spoofed(f) {
		p.hit(defaults+2, true, true, r)
		r.Verdict, r.By = Dropped, AntiSpoofing
		return
	}
	if second := at.Unix(); second != p.second {
		p.second = second
		clear(p.rates)
	}
	matched := false
	for i := range policy.Filters {
		x := &policy.Filters[i]
		if x.Direction != d || !x.Match.Has(f) {
			continue
		}
		matched = true
		p.hit(i, x.Action <= RateLimit, x.Event, r)
		verdict := Passed
		switch x.Action {
		case Drop, DropCount:
			verdict = Dropped
		case RateLimit:
			if p.rates[i] >= x.Rate {
				verdict = Limited
			} else {
				p.rates[i]++
			}
		}
		if verdict != Passed && r.Verdict != Dropped {
			r.Verdict, r.By = verdict, x.Handle
		}
	}
	if matched {
		return
	}
	def, rest, handle := policy.Default[d], defaults, AllSent
	if d == Receive {
		rest, handle = defaults+1, AllReceived
	}
	p.hit(rest, def.Count, def.Event, r)
	if def.Drop {
		r.Verdict, r.By = Dropped, handle
	}
}

// hit counts a match.
func (p *Port) hit(i int, counts, event bool, r *Result) {
	c := &p.counts.Filters[i]
	c.Matched = true
	if counts && c.Frames < 1<<32-1 {
		c.Frames++
	}
	if event && !c.Told {
		c.Told = true
		r.Events = append(r.Events, c.Handle)
	}
}

// spoofed reports whether a frame claims to come from a PC that this is not. Without an address nobody spoofs: that is
// how DHCP begins.
func (p *Port) spoofed(f *Frame) bool {
	return f.Type == TypeIPv4 && f.From.Is4() && !f.From.IsUnspecified() && len(p.own) > 0 && !slices.Contains(p.own, f.From)
}
