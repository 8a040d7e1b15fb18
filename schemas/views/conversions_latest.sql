-- Each call once: its latest row, without calls that were moved away.
--
-- Columns: those of conversions, and
--   is_final  true once the row does not change any more (the clock has passed final_at)
--
-- Latest is the greatest emitted_at, then revision; a call that moved to another day in one moment
-- leaves two rows alike in both, of which the superseded one gives way.
SELECT
  *,
  CURRENT_TIMESTAMP >= final_at AS is_final
FROM (
  SELECT *
  FROM conversions
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY account, conversion_id
    ORDER BY emitted_at DESC, revision DESC, is_superseded, call_date DESC
  ) = 1
) AS latest
WHERE NOT is_superseded
