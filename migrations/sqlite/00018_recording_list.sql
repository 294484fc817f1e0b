-- +goose Up
-- Recordings are listed by when they were made.
CREATE INDEX recordings_created ON recordings (tenant, created_at, id);
