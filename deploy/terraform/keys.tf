# Two kinds of keys. Cloud KMS keys encrypt what lies still; Google's services use them. The secret
# is ATTRIBEAM_KEY, under which phone numbers become keyed hashes: Terraform makes the place for it
# and never sees its value, which would otherwise stand in Terraform's state.

locals {
  # A multi-region's keys lie in a location of another name.
  bigquery_key_location = lookup({ EU = "europe", US = "us" }, var.location, var.location)
}

resource "google_kms_key_ring" "data" {
  for_each   = toset([var.region, local.bigquery_key_location])
  name       = "attribeam"
  location   = each.key
  depends_on = [google_project_service.needed]
}

resource "google_kms_crypto_key" "data" {
  for_each        = google_kms_key_ring.data
  name            = "data"
  key_ring        = each.value.id
  labels          = local.labels
  rotation_period = "7776000s"
  # Without the key all that it encrypted is lost.
  lifecycle {
    prevent_destroy = true
  }
}

resource "google_secret_manager_secret" "key" {
  secret_id = "attribeam-key"
  labels    = local.labels
  replication {
    user_managed {
      replicas {
        location = var.region
        customer_managed_encryption {
          kms_key_name = google_kms_crypto_key.data[var.region].id
        }
      }
    }
  }
  lifecycle {
    prevent_destroy = true
  }
  depends_on = [google_kms_crypto_key_iam_member.agents]
}
