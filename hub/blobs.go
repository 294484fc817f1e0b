package hub

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob" // opens s3://

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/recording"
)

// openBlobs opens the blob store of the settings. Whether an S3 bucket answers
// shows at its first use: without recordings the hub still works.
func openBlobs(ctx context.Context, s *config.Settings) (*blob.Bucket, error) {
	folder := filepath.Join(s.Data, config.RecordingsFolder)
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
	allow := append([]netip.Prefix(nil), h.cfg.Allow...)
	g := delivery.NewGuard(append(allow, h.tenantAllow(tenant)...))
	g.Self = h.self
	return g
}
