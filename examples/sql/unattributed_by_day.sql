-- Share of inbound calls without a source by day, and why: unattributed, or several candidates.
SELECT
  account,
  call_date,
  COUNT(*) AS calls,
  SUM(CASE WHEN status = 'unattributed' THEN 1 ELSE 0 END) AS unattributed,
  SUM(CASE WHEN status = 'ambiguous' THEN 1 ELSE 0 END) AS ambiguous,
  1e0 * SUM(CASE WHEN status IN ('unattributed', 'ambiguous') THEN 1 ELSE 0 END) / COUNT(*)
    AS share_without_source,
  SUM(CASE WHEN is_final THEN 0 ELSE 1 END) AS may_still_change
FROM conversions_latest
WHERE direction = 'inbound' AND status <> 'excluded'
GROUP BY account, call_date
ORDER BY call_date DESC, account
