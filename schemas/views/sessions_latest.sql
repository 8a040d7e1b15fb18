-- Each session once: its latest row, without sessions that late events merged into another.
--
-- Columns: those of sessions.
--
-- One session_id may name several sessions, so visitor and start belong to the identity.
SELECT *
FROM (
  SELECT *
  FROM sessions
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY account, visitor_id, session_id, session_start
    ORDER BY emitted_at DESC, revision DESC, is_deleted
  ) = 1
) AS latest
WHERE NOT is_deleted
