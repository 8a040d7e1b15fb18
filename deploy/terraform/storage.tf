# Buckets: events (what backfills read), staging (templates, configuration), temp (what jobs leave).

resource "google_storage_bucket" "events" {
  name                        = "${var.project}-attribeam-events"
  location                    = var.region
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  encryption {
    default_kms_key_name = google_kms_crypto_key.data[var.region].id
  }
  lifecycle_rule {
    condition {
      age = var.retention_days
    }
    action {
      type = "Delete"
    }
  }
  # Personal values: what is deleted is gone at once.
  soft_delete_policy {
    retention_duration_seconds = 0
  }
  depends_on = [google_kms_crypto_key_iam_member.agents]
}

resource "google_storage_bucket" "staging" {
  name                        = "${var.project}-attribeam-staging"
  location                    = var.region
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  # An older template or configuration, to go back to.
  versioning {
    enabled = true
  }
  encryption {
    default_kms_key_name = google_kms_crypto_key.data[var.region].id
  }
  lifecycle_rule {
    condition {
      num_newer_versions = 5
      with_state         = "ARCHIVED"
    }
    action {
      type = "Delete"
    }
  }
  depends_on = [google_kms_crypto_key_iam_member.agents]
}

resource "google_storage_bucket" "temp" {
  name                        = "${var.project}-attribeam-temp"
  location                    = var.region
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  encryption {
    default_kms_key_name = google_kms_crypto_key.data[var.region].id
  }
  # Not staging/: it is small, and workers that a running job adds read it.
  lifecycle_rule {
    condition {
      age            = 7
      matches_prefix = ["temp/"]
    }
    action {
      type = "Delete"
    }
  }
  soft_delete_policy {
    retention_duration_seconds = 0
  }
  depends_on = [google_kms_crypto_key_iam_member.agents]
}

resource "google_storage_bucket_object" "config" {
  # By what it says, so that a running stream is updated when it changes.
  name   = "attribeam-${substr(filesha256(var.config_file), 0, 8)}.toml"
  bucket = google_storage_bucket.staging.name
  source = var.config_file
}

# A Flex Template is this small file: the image and the metadata of its parameters.
resource "google_storage_bucket_object" "template" {
  for_each = var.image == null ? toset([]) : toset(["backfill", "stream"])
  name     = "templates/${each.key}-${substr(sha256(var.image), 0, 8)}.json"
  bucket   = google_storage_bucket.staging.name
  content = jsonencode({
    image    = var.image
    sdkInfo  = { language = "PYTHON" }
    metadata = jsondecode(file("${path.module}/../${each.key}.metadata.json"))
  })
}
