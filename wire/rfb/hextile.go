package rfb

// Parts of Hextile's first byte. Source: RFC 6143 7.7.4.
const (
	hextileRaw        = 1
	hextileBackground = 2 // a colour follows
	hextileSubrects   = 8
	hextileColoured   = 16 // each with its colour
	hextileEdge       = 16
)

// appendHextile appends a tile as squares of 16: one colour, one colour with runs of others in it, or plain pixels.
func (p *packing) appendHextile(out []byte, t *Tile) []byte {
	for y := 0; y < t.H; y += hextileEdge {
		for x := 0; x < t.W; x += hextileEdge {
			w, h := min(hextileEdge, t.W-x), min(hextileEdge, t.H-y)
			out = p.appendSquare(out, t.Pix[y*t.W+x:], t.W, w, h)
		}
	}
	return out
}

func (p *packing) appendSquare(out []byte, pix []uint32, stride, w, h int) []byte {
	at, back := len(out), pix[0]
	out = p.append(append(out, hextileBackground), p.pack(back))
	count, most := len(out), 1+w*h*p.width
	out = append(out, 0)
	runs := 0
	for y := range h {
		row := pix[y*stride : y*stride+w]
		for x := 0; x < w; {
			end := x + 1
			for end < w && row[end] == row[x] {
				end++
			}
			if row[x] != back {
				if runs++; runs > 255 || len(out)-at >= most {
					return p.rawSquare(out[:at], pix, stride, w, h)
				}
				out = append(p.append(out, p.pack(row[x])), byte(x<<4|y), byte((end-x-1)<<4))
			}
			x = end
		}
	}
	if runs == 0 {
		return out[:count]
	}
	out[at] |= hextileSubrects | hextileColoured
	out[count] = byte(runs)
	return out
}

func (p *packing) rawSquare(out []byte, pix []uint32, stride, w, h int) []byte {
	out = append(out, hextileRaw)
	for y := range h {
		for _, rgb := range pix[y*stride : y*stride+w] {
			out = p.append(out, p.pack(rgb))
		}
	}
	return out
}
