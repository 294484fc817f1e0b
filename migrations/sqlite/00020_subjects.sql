-- +goose Up
-- The index of numbers is a fold that comes after the others. On a store that has
-- events it begins where they are, so that nobody waits for it. What is older is
-- indexed beside them, down from the mark.
CREATE INDEX subjects_seq ON subjects (tenant, seq);
INSERT INTO folds (name, tenant, position)
    SELECT 'subjects', tenant, min(position) FROM folds WHERE name NOT LIKE '-%' GROUP BY tenant;
INSERT INTO folds (name, tenant, position)
    SELECT '-indexed', tenant, position + 1 FROM folds WHERE name = 'subjects' AND position > 0;
