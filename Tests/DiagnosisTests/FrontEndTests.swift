import Diagnosis
import Testing
