package console

import (
	"cmp"
	lru "container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outband/outband/wire/ider"
)

// An Image is a disk image to redirect: a file of this computer, or one that a web server has. It is safe for concurrent
// use.
type Image struct {
	Name string
	Size int64 // bytes

	io.ReaderAt
	writer io.WriterAt // nil: it is only read
	close  func() error
}

// ErrImage is an image that cannot be used.
var ErrImage = errors.New("unusable image")

// Medium is the image as package ider takes it.
func (m *Image) Medium() *ider.Medium { return &ider.Medium{Image: m, Size: m.Size, Writer: m.writer} }

// Close closes the file or the connections.
func (m *Image) Close() error { return m.close() }

// OpenImage opens an image and reads its first sector, so that nothing is begun with one that cannot be read. name is a
// path, or the address of a file on a web server that gives parts of it (http:// or https://). Errors wrap [ErrImage].
func OpenImage(ctx context.Context, name string) (*Image, error) {
	open := openFile
	if at, err := url.Parse(name); err == nil && (at.Scheme == "http" || at.Scheme == "https") {
		open = openURL
	}
	m, err := open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImage, err)
	}
	return m.check()
}

// OpenWritableImage opens an image file of this computer that the machine may write to, if it stands in the floppy. It
// is never made longer. Errors wrap [ErrImage].
func OpenWritableImage(name string) (*Image, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImage, err)
	}
	m, err := imageOf(name, f)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImage, err)
	}
	m.writer = f
	m.close = func() error { return errors.Join(f.Sync(), f.Close()) }
	return m.check()
}

// check reads the first sector.
func (m *Image) check() (*Image, error) {
	var err error
	if m.Size == 0 {
		err = fmt.Errorf("%w: %s is empty", ErrImage, m.Name)
	} else if n, e := m.ReadAt(make([]byte, min(m.Size, 2048)), 0); n == 0 {
		err = fmt.Errorf("%w: %w", ErrImage, e)
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func openFile(_ context.Context, name string) (*Image, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return imageOf(name, f)
}

func imageOf(name string, f *os.File) (*Image, error) {
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("is a folder")}
	}
	size := int64(0)
	if err == nil {
		size, err = f.Seek(0, io.SeekEnd) // tells the size of block devices as well
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Image{Name: name, Size: size, ReaderAt: f, close: f.Close}, nil
}

// Sizes of what is fetched from a web server.
const (
	remoteBlock = 256 << 10 // bytes fetched at a time
	remoteKept  = 64        // blocks kept: 16 MiB
	remoteTime  = 30 * time.Second
	remoteTries = 3
)

// A remote is a file on a web server, fetched in blocks as they are needed, and the next one ahead.
type remote struct {
	ctx    context.Context
	cancel context.CancelFunc
	client *http.Client
	url    string
	size   int64
	mark   string // ETag or date: the file must stay the same
	wg     sync.WaitGroup

	mu     sync.Mutex // guards what follows
	blocks map[int64]*block
	order  *lru.List // of blocks, the one used last in front
}

// A block is a part of the file, there or under way.
type block struct {
	number int64
	ready  chan struct{} // closed when what follows is good
	data   []byte
	err    error
	place  *lru.Element
}

func openURL(ctx context.Context, name string) (*Image, error) {
	r := &remote{client: &http.Client{Timeout: remoteTime}, url: name, blocks: map[int64]*block{}, order: lru.New()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, name, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Range", "bytes=0-0")
	res, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	res.Body.Close()
	shown := redactURL(name)
	if res.StatusCode == http.StatusOK {
		return nil, fmt.Errorf("%s: the web server gives whole files only; download it first", shown)
	}
	if res.StatusCode != http.StatusPartialContent {
		return nil, fmt.Errorf("%s: %s", shown, res.Status)
	}
	_, total, _ := strings.Cut(res.Header.Get("Content-Range"), "/")
	if r.size, err = strconv.ParseInt(total, 10, 64); err != nil || r.size < 0 {
		return nil, fmt.Errorf("%s: the web server does not tell the size: Content-Range %q", shown, res.Header.Get("Content-Range"))
	}
	if tag := res.Header.Get("ETag"); !strings.HasPrefix(tag, "W/") { // a weak one promises nothing about parts
		r.mark = tag
	}
	r.mark = cmp.Or(r.mark, res.Header.Get("Last-Modified"))
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return &Image{Name: shown, Size: r.size, ReaderAt: r, close: r.close}, nil
}

// redactURL is an address without the password in it.
func redactURL(name string) string {
	at, err := url.Parse(name)
	if err != nil {
		return "image"
	}
	return at.Redacted()
}

func (r *remote) close() error {
	r.cancel()
	r.wg.Wait()
	r.client.CloseIdleConnections()
	return nil
}

// ReadAt reads from the blocks that are there, and fetches the others.
func (r *remote) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("%w: offset %d", ErrImage, off)
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= r.size {
			return n, io.EOF
		}
		number := at / remoteBlock
		b := r.block(number)
		if next := (number + 1) * remoteBlock; next < r.size {
			r.block(number + 1)
		}
		select {
		case <-b.ready:
		case <-r.ctx.Done():
			return n, fmt.Errorf("%w: closed", ErrImage)
		}
		if b.err != nil {
			r.forget(b)
			return n, b.err
		}
		n += copy(p[n:], b.data[at-number*remoteBlock:])
	}
	return n, nil
}

// block returns a block, and has it fetched if nobody has yet.
func (r *remote) block(number int64) *block {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.blocks[number]; b != nil {
		r.order.MoveToFront(b.place)
		return b
	}
	b := &block{number: number, ready: make(chan struct{})}
	b.place = r.order.PushFront(b)
	r.blocks[number] = b
	if r.order.Len() > remoteKept {
		old := r.order.Remove(r.order.Back()).(*block)
		delete(r.blocks, old.number)
	}
	r.wg.Go(func() {
		defer close(b.ready)
		for try := 1; ; try++ {
			b.data, b.err = r.fetch(number)
			if b.err == nil || try == remoteTries || r.ctx.Err() != nil || errors.Is(b.err, errChanged) {
				return
			}
			select {
			case <-time.After(time.Duration(try) * 500 * time.Millisecond):
			case <-r.ctx.Done():
			}
		}
	})
	return b
}

// forget drops a block that could not be had, so that it is tried anew.
func (r *remote) forget(b *block) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.blocks[b.number] == b {
		delete(r.blocks, b.number)
		r.order.Remove(b.place)
	}
}

var errChanged = errors.New("the file on the web server has changed")

// fetch asks for one block.
func (r *remote) fetch(number int64) ([]byte, error) {
	first := number * remoteBlock
	last := min(first+remoteBlock, r.size) - 1
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
	if r.mark != "" {
		req.Header.Set("If-Range", r.mark)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusOK:
		return nil, fmt.Errorf("%s: %w", redactURL(r.url), errChanged)
	case res.StatusCode != http.StatusPartialContent:
		return nil, fmt.Errorf("%s: %s", redactURL(r.url), res.Status)
	}
	if want := fmt.Sprintf("bytes %d-%d/%d", first, last, r.size); res.Header.Get("Content-Range") != want {
		return nil, fmt.Errorf("%s: the web server gives %q for %q: %w", redactURL(r.url), res.Header.Get("Content-Range"), want, errChanged)
	}
	data := make([]byte, last-first+1)
	if _, err := io.ReadFull(res.Body, data); err != nil {
		return nil, fmt.Errorf("%s: %w", redactURL(r.url), err)
	}
	return data, nil
}
