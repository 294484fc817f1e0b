package hub

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob" // opens s3://

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/recording"
)

// checkBlobURL says what is wrong with HOOKLINE_BLOB_URL.
func checkBlobURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("is not a URL")
	case u.Scheme == "file" && (u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != ""):
		return errors.New("must be file:// and the absolute path of a folder, as in file:///var/lib/hookline/recordings")
	case u.Scheme == "s3" && u.Host == "":
		return errors.New("must name a bucket, as in s3://recordings?region=eu-central-1")
	case u.Scheme != "file" && u.Scheme != "s3":
		return errors.New("must begin with file:// or s3://")
	}
	return nil
}

// recordingsFolder in the data folder.
const recordingsFolder = "recordings"

// openBlobs opens the blob store of the settings. Whether an S3 bucket answers
// shows at its first use: without recordings the hub still works.
func (s *settings) openBlobs(ctx context.Context) (*blob.Bucket, error) {
	folder := filepath.Join(s.Data, recordingsFolder)
	if s.BlobURL != "" {
		u, err := url.Parse(s.BlobURL)
		if err != nil {
			return nil, fmt.Errorf("HOOKLINE_BLOB_URL: %w", err)
		}
		if u.Scheme == "s3" {
			b, err := blob.OpenBucket(ctx, s.BlobURL)
			if err != nil {
				return nil, fmt.Errorf("HOOKLINE_BLOB_URL: %w", err)
			}
			return b, nil
		}
		folder = u.Path
	}
	b, err := fileblob.OpenBucket(folder, &fileblob.Options{
		CreateDir: true, DirFileMode: 0o700, Metadata: fileblob.MetadataDontWrite,
		NoTempDir: true, // a rename from elsewhere may cross file systems
	})
	if err != nil {
		return nil, fmt.Errorf("folder of recordings: %w", err)
	}
	return b, nil
}

// library of recordings, whose sources are asked through the guard of pushes.
func (h *Hub) library() *recording.Library {
	return recording.New(recording.Config{
		Store: h.db, Bucket: h.blobs, Log: h.log,
		Fetch:    h.sender.Transport,
		CheckURL: func(tenant int64, u *url.URL) error { return h.guard(tenant).CheckURL(u) },
	})
}

// guard of a tenant's way to the outside.
func (h *Hub) guard(tenant int64) *delivery.Guard {
	allow := append([]netip.Prefix(nil), h.cfg.allow...)
	g := delivery.NewGuard(append(allow, h.tenantAllow(tenant)...))
	g.Self = h.self
	return g
}

// publicBase is the public URL without a slash at its end; "": not known.
func (s *settings) publicBase() string {
	if s.public == nil {
		return ""
	}
	return strings.TrimRight(s.public.String(), "/")
}
